//! `[[source]]`: what is pulled.

use std::collections::BTreeMap;
use std::path::PathBuf;

use weft_ingest::pull::span;

use super::{Item, Reader, Table};
use crate::config::{Secret, SourceConfig, SourceKind};

const KNOWN: [&str; 13] = ["name", "pull", "settings", "origin", "bucket", "stream", "queue", "order", "options", "secrets", "every", "since", "look_back"];

impl Reader<'_> {
    pub(super) fn source(&mut self, at: usize, table: &Table<'_>) -> Option<SourceConfig> {
        self.known(table, "source", &KNOWN);
        let before = self.faults.len();
        let name = self.optional(table, "name").unwrap_or_default();
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            self.fault(at, "`source` needs a `name` of letters, digits, `-`, `_` and `.`".to_owned());
        }
        let kind = match (self.optional(table, "pull"), self.optional(table, "bucket")) {
            (Some(description), None) => {
                self.foreign(table, "pull", &["bucket", "stream", "queue", "order", "options"]);
                let origin = self.optional(table, "origin");
                Some(SourceKind::Pull { description, settings: self.words(table, "settings"), origin })
            }
            (None, Some(url)) => {
                self.foreign(table, "bucket", &["settings", "origin"]);
                let by_key = match self.optional(table, "order").as_deref() {
                    None | Some("time") => false,
                    Some("key") => true,
                    Some(_) => {
                        self.fault(at, "`order` must be `\"time\"` or, when new objects always have greater keys, `\"key\"`".to_owned());
                        false
                    }
                };
                let stream = self.optional(table, "stream").unwrap_or_else(|| "auto".to_owned());
                Some(SourceKind::Bucket { url, stream, queue: self.optional(table, "queue"), by_key, options: self.words(table, "options") })
            }
            _ => {
                self.fault(at, "`source` needs one of `pull` (an API, e.g. `\"connector/log\"`) and `bucket` (e.g. `\"s3://name/prefix/\"`)".to_owned());
                None
            }
        };
        let place = format!("{}:{}", self.file, self.place(at).0);
        let (every_ms, since_ms, look_back_ms) = (self.span(table, "every"), self.span(table, "since"), self.span(table, "look_back"));
        let source = SourceConfig { name, place, kind: kind?, secrets: self.secrets(table), every_ms, since_ms, look_back_ms };
        (self.faults.len() == before).then_some(source)
    }

    pub(super) fn optional(&mut self, table: &Table<'_>, name: &str) -> Option<String> {
        let mut found = None;
        self.string(table, name, |text| found = Some(text));
        found
    }

    pub(super) fn foreign(&mut self, table: &Table<'_>, kind: &str, names: &[&str]) {
        for name in names {
            if let Some(item) = table.get(*name) {
                self.fault(item.span().start, format!("`{name}` means nothing beside `{kind}`"));
            }
        }
    }

    pub(super) fn span(&mut self, table: &Table<'_>, name: &str) -> Option<i64> {
        let text = self.optional(table, name)?;
        let found = span(&text);
        if let (None, Some(item)) = (found, table.get(name)) {
            self.fault(item.span().start, format!("`{name}` must be a span such as `\"30s\"`, `\"15m\"`, `\"24h\"` or `\"7d\"`"));
        }
        found
    }

    /// Names with texts; numbers and booleans are texts too.
    fn words(&mut self, table: &Table<'_>, name: &str) -> BTreeMap<String, String> {
        let Some(words) = self.table(table, name) else { return BTreeMap::new() };
        let mut found = BTreeMap::new();
        for (key, item) in words {
            let value = item.get_ref();
            let text = value
                .as_str()
                .map(str::to_owned)
                .or_else(|| value.as_integer().map(|n| n.as_str().to_owned()))
                .or_else(|| value.as_bool().map(|b| b.to_string()));
            match text {
                Some(text) => drop(found.insert(key.get_ref().to_string(), text)),
                None => self.wrong(item, key.get_ref(), "text in quotes"),
            }
        }
        found
    }

    fn secrets(&mut self, table: &Table<'_>) -> BTreeMap<String, Secret> {
        let Some(secrets) = self.table(table, "secrets") else { return BTreeMap::new() };
        let mut found = BTreeMap::new();
        for (key, item) in secrets {
            let name = key.get_ref();
            let Some(secret) = item.get_ref().as_table() else {
                self.wrong(item, name, "`{ env = \"NAME\" }` or `{ file = \"path\" }`: a secret does not stand in this file");
                continue;
            };
            if let Some(secret) = self.secret(item, name, secret) {
                found.insert(name.to_string(), secret);
            }
        }
        found
    }

    /// Where one secret is.
    pub(super) fn secret(&mut self, item: Item<'_, '_>, name: &str, table: &Table<'_>) -> Option<Secret> {
        self.known(table, "secrets", &["env", "file", "at"]);
        match (self.optional(table, "env"), self.optional(table, "file"), self.optional(table, "at")) {
            (Some(variable), None, at) => Some(Secret::Env { variable, at }),
            (None, Some(path), at) => Some(Secret::File { path: PathBuf::from(path), at }),
            _ => {
                self.wrong(item, name, "one of `{ env = \"NAME\" }` and `{ file = \"path\" }`");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Secret, SourceKind, parse};

    #[test]
    fn sources_are_read() {
        let text = "[[source]]\nname = \"a\"\npull = \"x/log\"\nsettings = { domain = \"d\", page = 5 }\nsecrets = { token = { env = \"T\" }, key = { file = \"/k\", at = \"/private_key\" } }\nsince = \"7d\"\n\
            [[source]]\nname = \"b\"\nbucket = \"s3://logs/x/\"\nqueue = \"https://q\"\noptions = { region = \"eu-west-1\" }\n";
        let sources = parse("weft.toml", text).unwrap().sources;
        let SourceKind::Pull { settings, .. } = &sources[0].kind else { panic!() };
        assert_eq!((settings["page"].as_str(), sources[0].since_ms, sources[0].place.as_str()), ("5", Some(604_800_000), "weft.toml:1"));
        assert_eq!(sources[0].secrets["token"], Secret::Env { variable: "T".to_owned(), at: None });
        let SourceKind::Bucket { queue, stream, by_key, .. } = &sources[1].kind else { panic!() };
        assert_eq!((queue.as_deref(), stream.as_str(), *by_key), (Some("https://q"), "auto", false));
    }

    #[test]
    fn faults_of_sources_are_all_told() {
        let text =
            "[[source]]\nname = \"a b\"\npull = \"x/log\"\nqueue = \"q\"\nsecrets = { token = \"in the open\" }\nevery = \"often\"\n[[source]]\nname = \"c\"\n";
        let faults: Vec<String> = parse("weft.toml", text).unwrap_err().iter().map(ToString::to_string).collect();
        let told = faults.join("\n");
        for words in
            ["needs a `name`", "`queue` means nothing beside `pull`", "a secret does not stand in this file", "`every` must be a span", "needs one of `pull`"]
        {
            assert!(told.contains(words), "{words}:\n{told}");
        }
        assert_eq!(faults.len(), 5, "{told}");
    }
}
