//! The section `[access]`.

use std::path::PathBuf;

use super::{Reader, Table};
use crate::config::AccessConfig;

impl Reader<'_> {
    pub(super) fn access(&mut self, at: usize, table: &Table<'_>, into: &mut AccessConfig) {
        self.known(table, "access", &["folder", "url", "token", "user_header", "principal_type", "look_seconds"]);
        self.string(table, "folder", |text| into.folder = Some(PathBuf::from(text)));
        self.string(table, "url", |text| into.url = Some(text.trim_end_matches('/').to_owned()));
        self.string(table, "token", |text| into.token = Some(text));
        self.string(table, "user_header", |text| into.user_header = text.to_ascii_lowercase());
        self.string(table, "principal_type", |text| into.principal_type = text);
        self.number(table, "look_seconds", 1..=86_400, |n| into.look_seconds = n);
        if into.token.as_ref().is_some_and(|token| token.len() < 16) {
            self.fault(at, "`access.token` needs at least 16 characters, e.g. from `openssl rand -hex 24`".to_owned());
        }
        let is_base =
            |url: &String| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
        if into.url.as_ref().is_some_and(|url| !is_base(url)) {
            self.fault(at, "`access.url` is how others reach the decision point, e.g. `https://pdp.example.com`, without query and fragment".to_owned());
        }
        if axum::http::HeaderName::try_from(into.user_header.as_str()).is_err() {
            self.fault(at, "`access.user_header` is not a name of a header".to_owned());
        }
    }
}
