CREATE TABLE scim_resource (
    place INTEGER PRIMARY KEY, source TEXT NOT NULL, form TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, external TEXT, version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX scim_resource_id ON scim_resource (source, form, id);
CREATE UNIQUE INDEX scim_resource_user ON scim_resource (source, name) WHERE form = 'User';
CREATE INDEX scim_resource_name ON scim_resource (source, form, name);
CREATE INDEX scim_resource_external ON scim_resource (source, form, external);
CREATE INDEX scim_resource_order ON scim_resource (source, form, place);
CREATE TABLE scim_member (source TEXT NOT NULL, group_id TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (source, group_id, member)) STRICT, WITHOUT ROWID;
CREATE INDEX scim_member_of ON scim_member (source, member);
