//! Reading the file with spans.

mod access;
mod doors;
mod feed;
mod source;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use weft_ingest::DropPolicy;

use super::{Config, Fault, FileConfig, TokenConfig};

/// Shortest secret: what tools make is longer, what people type is not.
const SECRET_LENGTH_MIN: usize = 16;

pub(super) type Table<'a> = DeTable<'a>;
type Item<'t, 'a> = &'t Spanned<DeValue<'a>>;

/// Reads the text of `file`; the faults are all there are.
///
/// # Errors
/// Every fault, in the order of the file.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Fault>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { file, text, faults: Vec::new() };
    for error in errors {
        reader.fault(error.span().map_or(0, |span| span.start), error.message().to_owned());
    }
    let mut config = Config::default();
    reader.document(document.get_ref(), &mut config);
    reader.faults.sort_by_key(|fault| (fault.line, fault.column));
    if reader.faults.is_empty() { Ok(config) } else { Err(reader.faults) }
}

pub(super) struct Reader<'s> {
    file: &'s str,
    text: &'s str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// Line and column of a byte offset.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(self.text);
        (before.matches('\n').count() + 1, before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1)
    }

    pub(super) fn fault(&mut self, at: usize, message: String) {
        let (line, column) = self.place(at);
        self.faults.push(Fault { file: self.file.to_owned(), line, column, message });
    }

    fn document(&mut self, table: &Table<'_>, config: &mut Config) {
        let known = [
            "listen",
            "lake",
            "retention",
            "syslog",
            "token",
            "scim",
            "file",
            "drop",
            "source",
            "feed",
            "bulk",
            "webhook",
            "nats",
            "kafka",
            "budget",
            "response",
            "networks",
            "analytics",
            "access",
        ];
        self.known(table, "", &known);
        self.address(table, "listen", |address| config.listen = address);
        if let Some(lake) = self.table(table, "lake") {
            self.string(lake, "url", |url| config.lake_url = Some(url));
            self.lake(lake, &mut config.life);
        }
        for (at, rule) in self.tables(table, "retention") {
            config.life.retention.extend(self.retention(at, rule));
        }
        if let Some(syslog) = self.table(table, "syslog") {
            self.known(syslog, "syslog", &["udp", "tcp", "tls", "certificate", "key", "client_ca", "stream"]);
            self.address(syslog, "udp", |address| config.syslog_udp = Some(address));
            self.address(syslog, "tcp", |address| config.syslog_tcp = Some(address));
            self.string(syslog, "stream", |stream| config.syslog_stream = stream);
            self.syslog_tls(syslog, config);
        }
        for (at, token) in self.tables(table, "token") {
            config.tokens.extend(self.token(at, token));
        }
        for (at, file) in self.tables(table, "file") {
            config.files.extend(self.file(at, file));
        }
        self.doors(table, config);
        for (at, drop) in self.tables(table, "drop") {
            config.drops.extend(self.drop_policy(at, drop));
        }
        self.asked(table, config);
        self.budget(table, config);
        if let Some(networks) = self.table(table, "networks") {
            self.known(networks, "networks", &["internal", "protected"]);
            self.strings(networks, "internal", |ranges| config.networks.internal = ranges);
            self.strings(networks, "protected", |ranges| config.networks.protected = ranges);
        }
        if let Some(analytics) = self.table(table, "analytics") {
            self.known(analytics, "analytics", &["geoip", "lateness_seconds"]);
            self.string(analytics, "geoip", |path| config.analytics.geoip = Some(PathBuf::from(path)));
            self.number(analytics, "lateness_seconds", 0..=86_400, |n| config.analytics.lateness_seconds = n);
        }
        if let Some(access) = self.table(table, "access") {
            let at = table.get("access").map_or(0, |item| item.span().start);
            self.access(at, access, &mut config.access);
        }
        if let Some(response) = self.table(table, "response") {
            self.known(response, "response", &["namespace", "posture_seconds"]);
            self.string(response, "namespace", |namespace| config.response.namespace = Some(namespace));
            self.number(response, "posture_seconds", 10..=86_400, |n| config.response.posture_seconds = n);
        }
    }

    /// What the mesh asks for by itself: records and intelligence.
    fn asked(&mut self, table: &Table<'_>, config: &mut Config) {
        for (at, source) in self.tables(table, "source") {
            config.sources.extend(self.source(at, source));
        }
        for (at, feed) in self.tables(table, "feed") {
            config.feeds.extend(self.feed(at, feed, &config.feeds));
        }
    }

    fn token(&mut self, at: usize, table: &Table<'_>) -> Option<TokenConfig> {
        self.known(table, "token", &["name", "secret", "acknowledge", "stream"]);
        let (mut name, mut secret) = (None, None);
        self.string(table, "name", |text| name = Some(text));
        self.string(table, "secret", |text| secret = Some(text));
        let mut token = TokenConfig { name: name.unwrap_or_default(), secret: secret.unwrap_or_default(), acknowledge: false, stream: None };
        self.string(table, "stream", |stream| token.stream = Some(stream));
        self.boolean(table, "acknowledge", |acknowledge| token.acknowledge = acknowledge);
        if token.name.is_empty() {
            self.fault(at, "`token` needs a `name`".to_owned());
        }
        if token.secret.len() < SECRET_LENGTH_MIN {
            self.fault(at, "`token` needs a `secret` of at least 16 characters, e.g. from `openssl rand -hex 24`".to_owned());
        }
        (!token.name.is_empty() && token.secret.len() >= SECRET_LENGTH_MIN).then_some(token)
    }

    fn file(&mut self, at: usize, table: &Table<'_>) -> Option<FileConfig> {
        self.known(table, "file", &["path", "stream"]);
        let (mut path, mut stream) = (None, "auto".to_owned());
        self.string(table, "path", |text| path = Some(PathBuf::from(text)));
        self.string(table, "stream", |text| stream = text);
        if path.is_none() {
            self.fault(at, "`file` needs a `path`: a file, a folder, or a folder with a pattern such as `*.log`".to_owned());
        }
        path.map(|path| FileConfig { path, stream })
    }

    fn drop_policy(&mut self, at: usize, table: &Table<'_>) -> Option<DropPolicy> {
        self.known(table, "drop", &["stream", "where", "keep_one_in", "reason"]);
        let (line, column) = self.place(at);
        let mut policy = DropPolicy { place: format!("{}:{line}:{column}", self.file), ..DropPolicy::default() };
        self.string(table, "stream", |stream| policy.stream = stream);
        self.string(table, "where", |condition| policy.when = Some(condition));
        self.number(table, "keep_one_in", 2..=1_000_000_000, |n| policy.keep_one_in = Some(n));
        self.string(table, "reason", |reason| policy.reason = reason);
        if policy.stream.is_empty() || policy.stream == "auto" {
            self.fault(at, "`drop` needs a `stream`, the one that its records are recognised as, see `weft check --streams`".to_owned());
        }
        if policy.reason.is_empty() {
            self.fault(at, "`drop` needs a `reason`: whoever misses the records will look for it".to_owned());
        }
        (!policy.stream.is_empty() && !policy.reason.is_empty()).then_some(policy)
    }

    fn budget(&mut self, table: &Table<'_>, config: &mut Config) {
        let Some(budget) = self.table(table, "budget") else { return };
        let known = [
            "record_bytes_max",
            "body_bytes_max",
            "bodies_max",
            "connections_max",
            "unpack_ratio_max",
            "room_wait_ms",
            "queue_bytes_max",
            "commit_seconds",
            "query_rows_max",
            "query_seconds_max",
        ];
        self.known(budget, "budget", &known);
        let into = &mut config.budget;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.number(budget, "record_bytes_max", 1024..=256 << 20, |n| into.limits.record_bytes_max = size(n));
        self.number(budget, "body_bytes_max", 1024..=64 << 30, |n| into.limits.body_bytes_max = n);
        self.number(budget, "bodies_max", 1..=4096, |n| into.limits.bodies_max = size(n));
        self.number(budget, "connections_max", 1..=65_536, |n| into.limits.connections_max = size(n));
        self.number(budget, "unpack_ratio_max", 2..=100_000, |n| into.limits.unpack_ratio_max = n);
        self.number(budget, "room_wait_ms", 0..=60_000, |n| into.limits.room_wait = Duration::from_millis(n));
        self.number(budget, "queue_bytes_max", 1 << 20..=64 << 30, |n| {
            into.queue.total_bytes_max = size(n);
            into.queue.lane_bytes_max = size(n / 6);
        });
        self.number(budget, "commit_seconds", 1..=3600, |n| into.commit_seconds = n);
        self.number(budget, "query_rows_max", 1..=1_000_000, |n| into.query_rows_max = size(n));
        self.number(budget, "query_seconds_max", 1..=3600, |n| into.query_seconds_max = n);
    }

    pub(super) fn known(&mut self, table: &Table<'_>, section: &str, names: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref();
            if !names.contains(&name.as_ref()) {
                let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
                self.fault(key.span().start, format!("unknown key `{name}`{place}; known: {}", names.join(", ")));
            }
        }
    }

    fn table<'t, 'a>(&mut self, table: &'t Table<'a>, name: &str) -> Option<&'t Table<'a>> {
        let item = table.get(name)?;
        let found = item.get_ref().as_table();
        if found.is_none() {
            self.wrong(item, name, &format!("a section `[{name}]`"));
        }
        found
    }

    fn tables<'t, 'a>(&mut self, table: &'t Table<'a>, name: &str) -> Vec<(usize, &'t Table<'a>)> {
        let Some(item) = table.get(name) else { return Vec::new() };
        let found: Option<Vec<_>> =
            item.get_ref().as_array().map(|items| items.iter().filter_map(|one| Some((one.span().start, one.get_ref().as_table()?))).collect());
        if found.is_none() {
            self.wrong(item, name, &format!("sections `[[{name}]]`"));
        }
        found.unwrap_or_default()
    }

    pub(super) fn string(&mut self, table: &Table<'_>, name: &str, set: impl FnOnce(String)) {
        let Some(item) = table.get(name) else { return };
        match item.get_ref().as_str() {
            Some(text) => set(text.to_owned()),
            None => self.wrong(item, name, "text in quotes"),
        }
    }

    pub(super) fn strings(&mut self, table: &Table<'_>, name: &str, set: impl FnOnce(Vec<String>)) {
        let Some(item) = table.get(name) else { return };
        let texts: Option<Vec<String>> =
            item.get_ref().as_array().and_then(|items| items.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect());
        match texts {
            Some(texts) => set(texts),
            None => self.wrong(item, name, "a list of texts in quotes"),
        }
    }

    fn boolean(&mut self, table: &Table<'_>, name: &str, set: impl FnOnce(bool)) {
        let Some(item) = table.get(name) else { return };
        match item.get_ref().as_bool() {
            Some(value) => set(value),
            None => self.wrong(item, name, "`true` or `false`"),
        }
    }

    fn address(&mut self, table: &Table<'_>, name: &str, set: impl FnOnce(SocketAddr)) {
        let Some(item) = table.get(name) else { return };
        match item.get_ref().as_str().and_then(|text| text.parse().ok()) {
            Some(address) => set(address),
            None => self.wrong(item, name, "an address with port, e.g. `\"127.0.0.1:8440\"`"),
        }
    }

    pub(super) fn number(&mut self, table: &Table<'_>, name: &str, range: std::ops::RangeInclusive<u64>, set: impl FnOnce(u64)) {
        let Some(item) = table.get(name) else { return };
        let value = item.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match value {
            Some(value) if range.contains(&value) => set(value),
            _ => self.wrong(item, name, &format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    pub(super) fn wrong(&mut self, item: Item<'_, '_>, name: &str, wanted: &str) {
        self.fault(item.span().start, format!("`{name}` must be {wanted}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_at_once_with_its_place() {
        let text = "listen = 5\nlissten = 1\n[budget]\ncommit_seconds = 0\n\n[[token]]\nname = \"x\"\nsecret = \"short\"\n[[file]]\nstream = \"a/b\"\n[syslog]\nudp = \"nowhere\"\n";
        let faults: Vec<String> = parse("weft.toml", text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "weft.toml:1:10: `listen` must be an address with port, e.g. `\"127.0.0.1:8440\"`",
                "weft.toml:2:1: unknown key `lissten`; known: listen, lake, retention, syslog, token, scim, file, drop, source, feed, bulk, webhook, nats, kafka, budget, response, networks, analytics, access",
                "weft.toml:4:18: `commit_seconds` must be a whole number from 1 to 3600",
                "weft.toml:6:1: `token` needs a `secret` of at least 16 characters, e.g. from `openssl rand -hex 24`",
                "weft.toml:9:1: `file` needs a `path`: a file, a folder, or a folder with a pattern such as `*.log`",
                "weft.toml:12:7: `udp` must be an address with port, e.g. `\"127.0.0.1:8440\"`",
            ]
        );
    }

    #[test]
    fn an_empty_file_is_the_default_and_a_full_one_is_read() {
        assert_eq!(parse("f", "").unwrap(), Config::default());
        let text = "listen = \"0.0.0.0:1\"\n[lake]\nurl = \"s3://b/p\"\n[[file]]\npath = \"/var/log\"\nstream = \"x/y\"\n[budget]\nqueue_bytes_max = 6_000_000\n[response]\nnamespace = \"n\"\n";
        let config = parse("f", text).unwrap();
        assert_eq!(config.lake_url.as_deref(), Some("s3://b/p"));
        assert_eq!(config.files, [FileConfig { path: "/var/log".into(), stream: "x/y".into() }]);
        assert_eq!((config.budget.queue.total_bytes_max, config.budget.queue.lane_bytes_max), (6_000_000, 1_000_000));
    }

    /// The reference of the guide is read as it stands, and every default in it is the default.
    #[test]
    fn the_guide_is_a_configuration() {
        let guide = include_str!("../../../../docs/guide/configuration.md");
        let (_, rest) = guide.split_once("```toml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let config = parse("docs/guide/configuration.md", text).unwrap();
        let default = Config::default();
        assert_eq!(
            (config.budget, config.listen, &config.analytics, &config.response),
            (default.budget, default.listen, &default.analytics, &default.response)
        );
        assert_eq!((&config.networks.internal, &config.access), (&default.networks.internal, &default.access));
        assert_eq!(crate::config::LakeLife { retention: Vec::new(), ..config.life }, default.life);
        assert_eq!((config.sources.len(), config.drops.len(), config.doors.webhooks.len(), config.tokens.len(), config.feeds.len()), (2, 1, 1, 1, 2));
    }

    #[test]
    fn broken_syntax_is_a_fault_with_a_place() {
        let faults = parse("f", "listen = \n[budget\n").unwrap_err();
        assert!(faults.iter().all(|fault| fault.line > 0), "{faults:?}");
    }
}
