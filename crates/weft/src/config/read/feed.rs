//! `[[feed]]`.

use std::path::PathBuf;

use url::Url;
use weft_analytics::intel::Kind;
use weft_analytics::intel::read::CONFIDENCE;

use super::{Reader, Table};
use crate::config::{EVERY_MS, FeedConfig, FeedFrom, Secret};
use crate::intel::Shelf;
use crate::intel::fetch::{is_here, without_query};

/// Least and most time between two looks, milliseconds.
const EVERY: std::ops::RangeInclusive<i64> = 10_000..=30 * 86_400_000;

impl Reader<'_> {
    pub(super) fn feed(&mut self, at: usize, table: &Table<'_>, others: &[FeedConfig]) -> Option<FeedConfig> {
        self.known(table, "feed", &["name", "url", "path", "every", "user", "secret", "kind", "confidence", "valid_for"]);
        let before = self.faults.len();
        let name = self.optional(table, "name").unwrap_or_default();
        if Shelf::name(&name).is_err() {
            self.fault(at, "`feed` needs a `name` of letters, digits, `-`, `_` and `.`: that of the source that it fills".to_owned());
        } else if others.iter().any(|other| other.name == name) {
            self.fault(at, format!("there is another feed `{name}`; each would replace what the other brought"));
        }
        let from = match (self.optional(table, "url"), self.optional(table, "path")) {
            (Some(url), None) => self.feed_url(at, &url),
            (None, Some(path)) if path != "-" => {
                self.foreign(table, "path", &["user", "secret"]);
                Some(FeedFrom::Path(PathBuf::from(path)))
            }
            _ => {
                self.fault(at, "`feed` needs one of `url` (a document, the manifest of a feed, a TAXII collection) and `path` (a file or folder)".to_owned());
                None
            }
        };
        let every_ms = self.span(table, "every").unwrap_or(EVERY_MS);
        if !EVERY.contains(&every_ms) {
            self.fault(at, "`every` must be from `\"10s\"` to `\"30d\"`".to_owned());
        }
        let (user, secret) = (self.optional(table, "user"), self.feed_secret(table));
        if user.is_some() && secret.is_none() {
            self.fault(at, "`user` needs a `secret`, e.g. `{ file = \"path\" }`".to_owned());
        }
        let kind = self.optional(table, "kind");
        if kind.as_deref().is_some_and(|kind| Kind::of_name(kind).is_none()) {
            self.fault(at, format!("`kind` must be one of: {}", Kind::ALL.map(Kind::name).join(", ")));
        }
        let mut confidence = CONFIDENCE;
        self.number(table, "confidence", 0..=100, |n| confidence = u8::try_from(n).unwrap_or(CONFIDENCE));
        let valid_for_ms = self.span(table, "valid_for");
        let feed = FeedConfig { name, from: from?, every_ms, user, secret, kind, confidence, valid_for_ms };
        (self.faults.len() == before).then_some(feed)
    }

    fn feed_url(&mut self, at: usize, text: &str) -> Option<FeedFrom> {
        let fits = |url: &Url| url.has_host() && (url.scheme() == "https" || url.scheme() == "http" && is_here(url)) && url.password().is_none();
        match text.parse::<Url>().ok().filter(fits) {
            Some(url) => Some(FeedFrom::Url(url)),
            None => {
                // What is wrong with it may be just that it holds a secret.
                let shown = text.parse::<Url>().map_or_else(|_| "`url`".to_owned(), |url| format!("`url` `{}`", without_query(&url)));
                self.fault(at, format!("{shown} must be an `https` address without a password (`http` of this machine alone)"));
                None
            }
        }
    }

    fn feed_secret(&mut self, table: &Table<'_>) -> Option<Secret> {
        let item = table.get("secret")?;
        let Some(secret) = item.get_ref().as_table() else {
            self.wrong(item, "secret", "`{ env = \"NAME\" }` or `{ file = \"path\" }`: a secret does not stand in this file");
            return None;
        };
        self.secret(item, "secret", secret)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{FeedFrom, Secret, parse};

    #[test]
    fn feeds_are_read() {
        let text = "[[feed]]\nname = \"cti\"\nurl = \"https://t.example/api/collections/c/\"\nevery = \"15m\"\nuser = \"me\"\nsecret = { env = \"T\" }\nvalid_for = \"7d\"\n\
            [[feed]]\nname = \"own\"\npath = \"/var/lib/feeds\"\nkind = \"ip\"\nconfidence = 90\n";
        let feeds = parse("weft.toml", text).unwrap().feeds;
        assert_eq!((feeds[0].every_ms, feeds[0].valid_for_ms, feeds[0].confidence), (900_000, Some(604_800_000), 50));
        assert_eq!(feeds[0].secret, Some(Secret::Env { variable: "T".to_owned(), at: None }));
        assert_eq!((&feeds[1].from, feeds[1].every_ms, feeds[1].confidence), (&FeedFrom::Path("/var/lib/feeds".into()), 3_600_000, 90));
        assert!(parse("f", "[[feed]]\nname = \"here\"\nurl = \"http://127.0.0.1:1/x\"\n").is_ok());
    }

    #[test]
    fn a_secret_in_an_address_is_not_told() {
        for url in ["https://me:hunter2@t.example/x", "http://feed.example/?key=hunter2", "https://me:hunter2@"] {
            let told = parse("weft.toml", &format!("[[feed]]\nname = \"x\"\nurl = \"{url}\"\n")).unwrap_err();
            assert!(told.iter().all(|fault| fault.to_string().contains("must be an `https` address") && !fault.to_string().contains("hunter2")), "{told:?}");
        }
    }

    #[test]
    fn faults_of_feeds_are_all_told() {
        let text = "[[feed]]\nname = \"a b\"\nurl = \"http://feed.example/x\"\nevery = \"1s\"\nkind = \"colour\"\nuser = \"me\"\n\
            [[feed]]\nname = \"x\"\npath = \"/x\"\nsecret = { file = \"/s\" }\n[[feed]]\nname = \"x\"\n[[feed]]\nname = \"x\"\npath = \"/x\"\nsecret = \"open\"\nconfidence = 101\n\
            [[feed]]\nname = \"y\"\npath = \"/y\"\n[[feed]]\nname = \"y\"\npath = \"/y\"\n";
        let told = parse("weft.toml", text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for words in [
            "needs a `name`",
            "must be an `https` address",
            "from `\"10s\"`",
            "`kind` must be one of",
            "`user` needs a `secret`",
            "`secret` means nothing beside `path`",
            "needs one of `url`",
            "a secret does not stand in this file",
            "`confidence` must be a whole number",
            "there is another feed `y`",
        ] {
            assert!(told.contains(words), "{words}:\n{told}");
        }
    }
}
