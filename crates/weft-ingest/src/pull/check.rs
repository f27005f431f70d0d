//! A description's file, checked without a network; every fault at once.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::describe::{Algorithm, Ask, Auth, Description, Detail, Grant, Json, Jwt, Kind, Limits, Method, Page, Prepare, Records, Window};
use super::table::{Reader, Table};
use super::template::Template;
use super::{REQUEST_HEADERS_MAX, when};
use crate::language;

/// Holes that the engine fills.
const OURS: [&str; 6] = ["since", "until", "size", "token", "page", "offset"];
/// Deepest body.
const BODY_DEPTH_MAX: usize = 8;
const MINUTE_MS: i64 = 60_000;

/// Reads `connectors/NAME/pull/FILE.toml`; `file` is its path for people, `name` is `NAME/FILE`.
///
/// # Errors
/// Every fault, in the order of the file.
pub fn read(file: &str, name: &str, text: &str) -> Result<Description, Vec<language::Fault>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut check = Check { reader: Reader::new(file, text), used: BTreeSet::new(), allowed: BTreeSet::new() };
    for error in errors {
        check.reader.faults.add(error.span().map_or(0, |span| span.start), error.message().lines().next().unwrap_or_default());
    }
    let description = check.document(name, document.get_ref());
    let mut faults = check.reader.faults.into_list();
    faults.sort();
    faults.dedup();
    match description {
        Some(description) if faults.is_empty() => Ok(description),
        _ => Err(faults),
    }
}

struct Check<'t> {
    reader: Reader<'t>,
    /// Holes that occur.
    used: BTreeSet<String>,
    /// Holes that may occur.
    allowed: BTreeSet<String>,
}

impl Check<'_> {
    fn document(&mut self, name: &str, table: &Table<'_>) -> Option<Description> {
        let known = [
            "stream", "title", "docs", "every", "settings", "defaults", "secrets", "auth", "prepare", "request", "follow", "detail", "records", "page",
            "window", "limits",
        ];
        self.reader.known(table, "", &known);
        let connector = name.split('/').next().unwrap_or(name);
        let settings = self.words(table, "settings");
        let secrets = self.words(table, "secrets");
        let defaults = self.words(table, "defaults");
        for given in defaults.keys().filter(|given| !settings.contains_key(*given)) {
            self.fault_at(table, "defaults", format!("`{given}` is not among the settings"));
        }
        self.allowed = settings.keys().cloned().chain(secrets.keys().map(|secret| format!("secret.{secret}"))).collect();
        let stream = self.top(table, "stream").map(|stream| format!("{connector}/{stream}"));
        let (title, docs) = (self.top(table, "title"), self.top(table, "docs"));
        let every_ms = self.span(table, "every").unwrap_or(MINUTE_MS);
        let auth = self.auth(table);
        self.allowed.extend(OURS.map(str::to_owned));
        let prepare = self.reader.tables(table, "prepare").into_iter().filter_map(|(at, prepare)| self.prepare(at, prepare)).collect();
        let request = match self.reader.table(table, "request") {
            Some((at, request)) => self.ask(at, request, "request", &[]),
            None => self.lacks("request", "where records are asked for"),
        };
        let follow = self.reader.table(table, "follow").and_then(|(at, follow)| self.ask(at, follow, "follow", &[]));
        let detail = self.detail(table);
        let records = self.records(table);
        let page = self.page(table);
        let window = self.window(table);
        let limits = self.limits(table);
        if window.is_some() && records.as_ref().is_some_and(|records| records.time.is_none()) {
            self.fault_at(table, "records", "`time` is missing: without it no window can move on".to_owned());
        }
        self.fits(table, page.as_ref(), window.as_ref(), &settings, &secrets);
        Some(Description {
            name: name.to_owned(),
            stream: stream?,
            title: title?,
            docs: docs?,
            settings,
            defaults,
            secrets,
            every_ms,
            auth: auth?,
            prepare,
            request: request?,
            follow,
            detail,
            records: records?,
            page: page?,
            window,
            limits,
        })
    }

    fn lacks<T>(&mut self, section: &str, why: &str) -> Option<T> {
        self.reader.faults.add(0, format!("`[{section}]` is missing: {why}"));
        None
    }

    fn fault_at(&mut self, table: &Table<'_>, name: &str, message: String) {
        let at = table.get(name).map_or(0, |item| item.span().start);
        self.reader.faults.add(at, message);
    }

    fn top(&mut self, table: &Table<'_>, name: &str) -> Option<String> {
        if table.get(name).is_none() {
            self.reader.faults.add(0, format!("`{name}` is missing"));
        }
        self.reader.text(table, name).map(|(_, text)| text)
    }

    fn words(&mut self, table: &Table<'_>, name: &str) -> BTreeMap<String, String> {
        self.reader.pairs(table, name).into_iter().map(|(_, name, text)| (name, text)).collect()
    }

    fn span(&mut self, table: &Table<'_>, name: &str) -> Option<i64> {
        let (at, text) = self.reader.text(table, name)?;
        let span = when::span(&text);
        if span.is_none() {
            self.reader.faults.add(at, format!("`{name}` must be a span such as `30s`, `15m`, `24h` or `7d`"));
        }
        span
    }

    fn template(&mut self, at: usize, text: &str) -> Option<Template> {
        match Template::read(text) {
            Ok(template) => {
                for hole in template.holes() {
                    if !self.allowed.contains(hole) {
                        let known: Vec<&str> = self.allowed.iter().map(String::as_str).collect();
                        self.reader.faults.add(at, format!("nothing fills `{{{hole}}}`; there are {}", known.join(", ")));
                    }
                    self.used.insert(hole.to_owned());
                }
                Some(template)
            }
            Err(message) => {
                self.reader.faults.add(at, message);
                None
            }
        }
    }

    fn templates(&mut self, table: &Table<'_>, name: &str) -> Vec<(String, Template)> {
        let pairs = self.reader.pairs(table, name);
        pairs.into_iter().filter_map(|(at, name, text)| Some((name, self.template(at, &text)?))).collect()
    }

    fn must(&mut self, table: &Table<'_>, at: usize, section: &str, name: &str) -> Option<Template> {
        let (at, text) = self.reader.must(table, at, section, name)?;
        self.template(at, &text)
    }

    fn auth(&mut self, table: &Table<'_>) -> Option<Auth> {
        let Some((at, auth)) = self.reader.table(table, "auth") else { return self.lacks("auth", "`kind = \"none\"` when there is none") };
        let (kind_at, kind) = self.reader.must(auth, at, "auth", "kind")?;
        match kind.as_str() {
            "none" => {
                self.reader.known(auth, "auth", &["kind"]);
                Some(Auth::None)
            }
            "header" => {
                self.reader.known(auth, "auth", &["kind", "name", "value"]);
                let name = self.reader.text(auth, "name").map_or_else(|| "authorization".to_owned(), |(_, name)| name.to_ascii_lowercase());
                Some(Auth::Header { name, value: self.must(auth, at, "auth", "value")? })
            }
            "basic" => {
                self.reader.known(auth, "auth", &["kind", "user", "password"]);
                let (user, password) = (self.must(auth, at, "auth", "user"), self.must(auth, at, "auth", "password"));
                Some(Auth::Basic { user: user?, password: password? })
            }
            "signed" => {
                self.reader.known(auth, "auth", &["kind", "user", "key", "canonical"]);
                let (user, key) = (self.must(auth, at, "auth", "user"), self.must(auth, at, "auth", "key"));
                let before = self.allowed.clone();
                self.allowed.extend(["date", "method", "host", "path", "query"].map(str::to_owned));
                let canonical = self.must(auth, at, "auth", "canonical");
                self.allowed = before;
                Some(Auth::Signed { user: user?, key: key?, canonical: canonical? })
            }
            "oauth2" => self.grant(at, auth).map(|grant| Auth::Grant(Box::new(grant))),
            _ => {
                self.reader.faults.add(kind_at, format!("there is no authentication `{kind}`; there are none, header, basic, oauth2, signed"));
                None
            }
        }
    }

    fn grant(&mut self, at: usize, table: &Table<'_>) -> Option<Grant> {
        self.reader.known(table, "auth", &["kind", "url", "form", "headers", "basic", "jwt", "token", "expires", "scheme"]);
        let jwt = self.reader.table(table, "jwt").and_then(|(at, jwt)| self.jwt(at, jwt));
        if table.contains_key("jwt") {
            self.allowed.insert("jwt".to_owned());
        }
        let basic = self.reader.table(table, "basic").and_then(|(at, basic)| {
            self.reader.known(basic, "auth.basic", &["user", "password"]);
            let (user, password) = (self.must(basic, at, "auth.basic", "user"), self.must(basic, at, "auth.basic", "password"));
            user.zip(password)
        });
        let text = |check: &mut Self, name: &str, otherwise: &str| check.reader.text(table, name).map_or_else(|| otherwise.to_owned(), |(_, text)| text);
        let grant = Grant {
            url: self.must(table, at, "auth", "url").unwrap_or_default(),
            form: self.templates(table, "form"),
            headers: self.templates(table, "headers"),
            basic,
            jwt,
            token: text(self, "token", "/access_token"),
            expires: text(self, "expires", "/expires_in"),
            scheme: text(self, "scheme", "Bearer"),
        };
        self.allowed.remove("jwt");
        Some(grant)
    }

    fn jwt(&mut self, at: usize, table: &Table<'_>) -> Option<Jwt> {
        self.reader.known(table, "auth.jwt", &["algorithm", "key", "key_id", "claims", "lifetime"]);
        let algorithm = match self.reader.text(table, "algorithm") {
            None => Some(Algorithm::Rs256),
            Some((_, name)) if name == "RS256" => Some(Algorithm::Rs256),
            Some((_, name)) if name == "ES256" => Some(Algorithm::Es256),
            Some((at, name)) => {
                self.reader.faults.add(at, format!("there is no algorithm `{name}`; there are RS256, ES256"));
                None
            }
        };
        let key = self.must(table, at, "auth.jwt", "key");
        let key_id = self.reader.text(table, "key_id").and_then(|(at, text)| self.template(at, &text));
        let claims = self.templates(table, "claims");
        let lifetime = self.span(table, "lifetime").unwrap_or(10 * MINUTE_MS);
        Some(Jwt { algorithm: algorithm?, key: key?, key_id, claims, lifetime })
    }

    fn prepare(&mut self, at: usize, table: &Table<'_>) -> Option<Prepare> {
        let accept = self.reader.numbers(table, "accept").unwrap_or_default();
        Some(Prepare { ask: self.ask(at, table, "prepare", &["accept"])?, accept })
    }

    fn ask(&mut self, at: usize, table: &Table<'_>, section: &str, more: &[&str]) -> Option<Ask> {
        let known: Vec<&str> = ["method", "url", "query", "headers", "body"].into_iter().chain(more.iter().copied()).collect();
        self.reader.known(table, section, &known);
        let body = table.get("body").and_then(|body| self.body(body.span().start, body.get_ref(), 0));
        let method = match self.reader.text(table, "method") {
            None => Some(if body.is_some() { Method::Post } else { Method::Get }),
            Some((_, name)) if name == "GET" => Some(Method::Get),
            Some((_, name)) if name == "POST" => Some(Method::Post),
            Some((at, name)) => {
                self.reader.faults.add(at, format!("there is no method `{name}` here; there are GET, POST"));
                None
            }
        };
        let url = self.must(table, at, section, "url");
        if let Some((at, text)) = self.reader.text(table, "url").filter(|(_, text)| !text.starts_with("https://")) {
            self.reader.faults.add(at, format!("`{text}` must begin with `https://`: records and secrets do not travel in the clear"));
        }
        let headers = self.templates(table, "headers");
        if headers.len() > REQUEST_HEADERS_MAX {
            self.reader.faults.add(at, format!("`[{section}]` has more than {REQUEST_HEADERS_MAX} headers"));
        }
        Some(Ask { method: method?, url: url?, query: self.templates(table, "query"), headers, body })
    }

    fn body(&mut self, at: usize, value: &DeValue<'_>, depth: usize) -> Option<Json> {
        if depth > BODY_DEPTH_MAX {
            self.reader.faults.add(at, "the body is nested too deeply");
            return None;
        }
        match value {
            DeValue::String(text) => self.template(at, text).map(Json::Text),
            DeValue::Boolean(value) => Some(Json::Plain((*value).into())),
            DeValue::Integer(number) => Some(Json::Plain(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_default().into())),
            DeValue::Array(items) => items.iter().map(|item| self.body(item.span().start, item.get_ref(), depth + 1)).collect::<Option<_>>().map(Json::List),
            DeValue::Table(table) => {
                let field = |(key, item): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
                    Some((key.get_ref().to_string(), self.body(item.span().start, item.get_ref(), depth + 1)?))
                };
                table.iter().map(field).collect::<Option<_>>().map(Json::Object)
            }
            DeValue::Float(_) | DeValue::Datetime(_) => {
                self.reader.faults.add(at, "a body has texts, whole numbers, `true` and `false`, lists and tables");
                None
            }
        }
    }

    fn pointer(&mut self, at: usize, text: String) -> Option<String> {
        if text.is_empty() || text.starts_with('/') {
            return Some(text);
        }
        self.reader.faults.add(at, format!("`{text}` must be a JSON Pointer: empty, or beginning with `/`"));
        None
    }

    fn pointer_of(&mut self, table: &Table<'_>, name: &str) -> Option<String> {
        let (at, text) = self.reader.text(table, name)?;
        self.pointer(at, text)
    }

    fn detail(&mut self, table: &Table<'_>) -> Option<Detail> {
        let (at, detail) = self.reader.table(table, "detail")?;
        self.reader.known(detail, "detail", &["url", "at"]);
        self.reader.must(detail, at, "detail", "url")?;
        Some(Detail { url: self.pointer_of(detail, "url")?, at: self.pointer_of(detail, "at").unwrap_or_default() })
    }

    fn records(&mut self, table: &Table<'_>) -> Option<Records> {
        let Some((at, records)) = self.reader.table(table, "records") else { return self.lacks("records", "where an answer has them") };
        self.reader.known(records, "records", &["at", "key", "time"]);
        self.reader.must(records, at, "records", "at")?;
        let keys = self.reader.texts(records, "key");
        let key = keys.into_iter().filter_map(|(at, text)| self.pointer(at, text)).collect();
        Some(Records { at: self.pointer_of(records, "at")?, key, time: self.pointer_of(records, "time") })
    }

    fn page(&mut self, table: &Table<'_>) -> Option<Page> {
        let Some((at, page)) = self.reader.table(table, "page") else { return self.lacks("page", "`kind = \"single\"` when there is one") };
        self.reader.known(page, "page", &["kind", "size", "lasting", "more", "expired", "at", "header", "first"]);
        let (kind_at, name) = self.reader.must(page, at, "page", "kind")?;
        let pointed = |check: &mut Self| {
            check.reader.must(page, at, "page", "at")?;
            check.pointer_of(page, "at")
        };
        let kind = match name.as_str() {
            "single" => Kind::Single,
            "link" => Kind::Link,
            "next_url" => Kind::NextUrl(pointed(self)?),
            "next_header" => Kind::NextHeader(self.reader.must(page, at, "page", "header")?.1.to_ascii_lowercase()),
            "token" => Kind::Token(pointed(self)?),
            "last_record" => Kind::LastRecord(pointed(self)?),
            "number" => Kind::Number { first: self.reader.number(page, "first", 0..=1).unwrap_or(1) },
            "offset" => Kind::Offset,
            _ => {
                let kinds = "single, link, next_url, next_header, token, last_record, number, offset";
                self.reader.faults.add(kind_at, format!("there are no pages of kind `{name}`; there are {kinds}"));
                return None;
            }
        };
        let lasting = self.reader.boolean(page, "lasting");
        if lasting && matches!(kind, Kind::Single | Kind::Number { .. } | Kind::Offset) {
            self.reader.faults.add(kind_at, format!("pages of kind `{name}` leave no place that lasts"));
        }
        let expired = self.reader.numbers(page, "expired").unwrap_or_else(|| vec![400, 404, 410]);
        Some(Page { kind, size: self.reader.number(page, "size", 1..=100_000).unwrap_or(100), lasting, more: self.pointer_of(page, "more"), expired })
    }

    fn window(&mut self, table: &Table<'_>) -> Option<Window> {
        let (at, window) = self.reader.table(table, "window")?;
        self.reader.known(window, "window", &["format", "initial", "look_back", "span_max", "reach", "lag"]);
        let (form_at, name) = self.reader.must(window, at, "window", "format")?;
        let form = when::Form::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, form)| form);
        if form.is_none() {
            let names = when::Form::NAMES.map(|(name, _)| name).join(", ");
            self.reader.faults.add(form_at, format!("there is no format `{name}`; there are {names}"));
        }
        let mut span = |name: &str| self.span(window, name);
        let (initial, look_back, span_max, reach, lag) = (span("initial"), span("look_back"), span("span_max"), span("reach"), span("lag"));
        let look_back = look_back.unwrap_or(5 * MINUTE_MS);
        if span_max.is_some_and(|span| span <= look_back) {
            self.reader.faults.add(at, "`span_max` must be longer than `look_back`, else no walk gets ahead");
        }
        Some(Window { form: form?, initial: initial.unwrap_or(24 * 60 * MINUTE_MS), look_back, span_max, reach, lag: lag.unwrap_or(0) })
    }

    fn limits(&mut self, table: &Table<'_>) -> Limits {
        let Some((_, limits)) = self.reader.table(table, "limits") else { return Limits { per: MINUTE_MS, ..Limits::default() } };
        self.reader.known(limits, "limits", &["requests", "per", "remaining", "reset"]);
        let header = |check: &mut Self, name: &str| check.reader.text(limits, name).map(|(_, name)| name.to_ascii_lowercase());
        Limits {
            requests: self.reader.number(limits, "requests", 1..=1_000_000),
            per: self.span(limits, "per").unwrap_or(MINUTE_MS),
            remaining: header(self, "remaining"),
            reset: header(self, "reset"),
        }
    }

    /// What no section can see alone.
    fn fits(
        &mut self,
        table: &Table<'_>,
        page: Option<&Page>,
        window: Option<&Window>,
        settings: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, String>,
    ) {
        for (of, section, prefix) in [(settings, "settings", ""), (secrets, "secrets", "secret.")] {
            for name in of.keys().filter(|name| !self.used.contains(&format!("{prefix}{name}"))).cloned().collect::<Vec<_>>() {
                self.fault_at(table, section, format!("`{name}` is asked for and not used"));
            }
        }
        let timed = self.used.contains("since") || self.used.contains("until");
        if timed && window.is_none() && !table.contains_key("window") {
            self.reader.faults.add(0, "`{since}` and `{until}` need a `[window]`");
        }
        let Some(page) = page else { return };
        let wanted = match page.kind {
            Kind::Token(_) | Kind::LastRecord(_) => Some("token"),
            Kind::Number { .. } => Some("page"),
            Kind::Offset => Some("offset"),
            _ => None,
        };
        if let Some(wanted) = wanted.filter(|wanted| !self.used.contains(*wanted)) {
            self.fault_at(table, "page", format!("no request sends `{{{wanted}}}`, so each page would be the first one"));
        }
        if window.is_none() && !page.lasting && !table.contains_key("window") {
            self.fault_at(table, "page", "without a `[window]` only a place that is `lasting` keeps a poll from reading all again".to_owned());
        }
    }
}
