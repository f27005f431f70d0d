CREATE TABLE pull_keys (source TEXT NOT NULL, number INTEGER NOT NULL, newest_ms INTEGER NOT NULL, ids BLOB NOT NULL, PRIMARY KEY (source, number)) STRICT;
CREATE TABLE pull_object (source TEXT NOT NULL, object TEXT NOT NULL, upto INTEGER, at_ms INTEGER NOT NULL, PRIMARY KEY (source, object)) STRICT;
CREATE INDEX pull_object_at ON pull_object (source, at_ms);
