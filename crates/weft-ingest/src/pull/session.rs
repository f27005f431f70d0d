//! One source at work, without I/O: what to ask now, and what an answer means.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use url::Url;
use weft_model::{Position, RawRecord, RecordId, StreamId};

use super::auth::{self, Access, ToSign};
use super::describe::{Description, Kind, Window};
use super::limit::{Pace, retry_after};
use super::message::{Answer, Chunk, Fault, Request, Settings, Taken, excerpt, short};
use super::place::{Next, Place, Walk};
use super::seen::{Keys, Seen};
use super::{ask, page, when};

/// Bytes of a chunk: what becomes durable at once.
const CHUNK_BYTES_MAX: usize = 4 << 20;
/// Records of a chunk.
const CHUNK_RECORDS_MAX: usize = 8192;

/// What a `Date` header cannot tell, and a little more.
const CLOCK_GRAIN_MS: i64 = 2000;

enum Asked {
    Prepare,
    Page(Walk),
    Detail,
}

/// Addresses that the records of a page gave, and the place after all of them.
struct Details {
    urls: VecDeque<Url>,
    after: Place,
    more: bool,
}

/// See the module.
pub struct Session {
    description: Arc<Description>,
    settings: Settings,
    window: Option<Window>,
    stream: StreamId,
    place: Place,
    seen: Seen,
    /// Server's clock less ours, milliseconds.
    skew: i64,
    prepared: usize,
    details: Option<Details>,
    asked: Option<Asked>,
    pace: Pace,
}

impl Session {
    /// At the beginning; see [`Session::resume`].
    pub fn new(description: Arc<Description>, settings: Settings) -> Self {
        let window = description.window.clone().map(|window| Window {
            look_back: settings.look_back_ms.unwrap_or(window.look_back),
            initial: settings.initial_ms.unwrap_or(window.initial),
            ..window
        });
        let stream = StreamId::from(description.stream.as_str());
        Self {
            description,
            settings,
            window,
            stream,
            place: Place::default(),
            seen: Seen::default(),
            skew: 0,
            prepared: 0,
            details: None,
            asked: None,
            pace: Pace::default(),
        }
    }

    /// Goes on at a durable position, with the keys that were kept.
    pub fn resume(&mut self, position: &Position, kept: Vec<Keys>) {
        self.place = Place::of(position);
        self.seen = Seen::restore(kept, self.place.number);
        (self.details, self.asked) = (None, None);
    }

    /// Secrets as they are now.
    pub fn secrets(&mut self, secrets: BTreeMap<String, String>) {
        self.settings.secrets = secrets;
    }

    /// By what it asks.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// How fast it may ask.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Makes it wait, since something else than an answer said so.
    pub fn hold(&mut self, now: i64, wait_ms: i64) {
        self.pace.hold(now, wait_ms);
    }

    /// Where it is, as far as it was told what is durable.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Keys that are remembered.
    pub fn remembered(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn origin(&self) -> Option<&Url> {
        self.settings.origin.as_ref()
    }

    pub(super) fn server_now(&self, now: i64) -> i64 {
        now.saturating_add(self.skew)
    }

    /// Values of holes that never change.
    pub(super) fn fixed(&self, name: &str) -> Option<String> {
        match name.strip_prefix("secret.") {
            Some(secret) => self.settings.secrets.get(secret).cloned(),
            None => self.settings.values.get(name).or_else(|| self.description.defaults.get(name)).cloned(),
        }
    }

    /// The request to make now.
    ///
    /// # Errors
    /// An address that cannot be made, or one that the API gave and that leads elsewhere.
    pub fn ask(&mut self, now: i64) -> Result<Request, Fault> {
        let description = Arc::clone(&self.description);
        if let Some(prepare) = description.prepare.get(self.prepared) {
            self.asked = Some(Asked::Prepare);
            return ask::build(&prepare.ask, &|name| self.fixed(name), self.origin());
        }
        if let Some(url) = self.details.as_ref().and_then(|details| details.urls.front()) {
            let request = ask::follow(url.clone(), &description.request, &|name| self.fixed(name));
            self.asked = Some(Asked::Detail);
            return Ok(request);
        }
        let walk = self.place.walk.clone().unwrap_or_else(|| self.begin(now));
        let request = self.page_request(&walk);
        self.asked = Some(Asked::Page(walk));
        request
    }

    fn begin(&self, now: i64) -> Walk {
        let server = self.server_now(now);
        let Some(window) = &self.window else { return Walk::over(0, server) };
        let mut since = self.place.since.unwrap_or_else(|| server.saturating_sub(window.initial));
        if let Some(reach) = window.reach {
            since = since.max(server.saturating_sub(reach));
        }
        let end = server.saturating_sub(window.lag);
        let longest = window.span_max.map(|span| since.saturating_add(span));
        let capped = longest.is_some_and(|longest| longest < end);
        let until = if capped { longest.unwrap_or(end) } else { end };
        Walk { capped, ..Walk::over(since, until.max(since.saturating_add(window.form.grain()))) }
    }

    fn page_request(&self, walk: &Walk) -> Result<Request, Fault> {
        let description = &*self.description;
        let fill = |name: &str| match (name, &walk.next) {
            ("since", _) => self.window.as_ref().map(|window| window.form.write(walk.since.saturating_sub(window.form.grain()))),
            ("until", _) => self.window.as_ref().map(|window| window.form.write(walk.until)),
            ("size", _) => Some(description.page.size.to_string()),
            ("token", Some(Next::Token(token))) => Some(token.clone()),
            ("page", Some(Next::Page(page))) => Some(page.to_string()),
            ("page", _) => {
                if let Kind::Number { first } = description.page.kind {
                    Some(first.to_string())
                } else {
                    None
                }
            }
            ("offset", Some(Next::Offset(offset))) => Some(offset.to_string()),
            ("offset", _) => Some("0".to_owned()),
            (name, _) => self.fixed(name),
        };
        let first = ask::build(&description.request, &fill, self.origin());
        match (&walk.next, &description.follow) {
            (None, _) | (Some(_), None) if !matches!(walk.next, Some(Next::Url(_))) => first,
            (Some(Next::Url(next)), follow) => {
                let url = self.given(next, &first?)?;
                Ok(ask::follow(url, follow.as_ref().unwrap_or(&description.request), &fill))
            }
            (_, Some(follow)) => ask::build(follow, &fill, self.origin()),
            (_, None) => first,
        }
    }

    /// An address that the API gave. Whoever answers must not send our secrets elsewhere.
    fn given(&self, text: &str, asked: &Request) -> Result<Url, Fault> {
        let url = asked.url.join(text).map_err(|error| Fault::Protocol(format!("`{}` is no address of a next page: {error}", short(text))))?;
        if url.origin() == asked.url.origin() {
            return Ok(url);
        }
        let declared = ask::address(&self.description.request.url, &|name| self.fixed(name), None)?;
        match self.origin() {
            Some(origin) if url.origin() == declared.origin() => Ok(ask::moved(&url, origin)),
            _ => Err(Fault::Protocol(format!("the next page is said to be at `{}`, which is not where it was asked for; it is not followed", short(text)))),
        }
    }

    /// Puts into the request who asks.
    pub fn authorize(&self, request: &mut Request, access: Option<&Access>, now: i64) -> Option<ToSign> {
        auth::authorize(self, request, access, now)
    }

    /// Learns the server's clock and its limits.
    pub(super) fn hear(&mut self, now: i64, answer: &Answer) {
        if let Some(date) = answer.header("date").and_then(when::http_date) {
            self.skew = date.saturating_sub(now);
        }
        let description = Arc::clone(&self.description);
        self.pace.learn(&description.limits, now, answer);
    }

    /// What the status says.
    pub(super) fn judge(&self, now: i64, answer: &Answer) -> Result<(), Fault> {
        let told = || format!("status {}{}", answer.status, excerpt(&answer.body));
        let wait = retry_after(now, answer);
        let limits = &self.description.limits;
        let spent = limits.remaining.as_deref().and_then(|name| answer.header(name)).is_some_and(|left| left.trim() == "0");
        match answer.status {
            200..=299 => Ok(()),
            401 => Err(Fault::Unauthorised(told())),
            403 if wait.is_some() || spent => Err(Fault::Later(format!("too many requests: {}", told()), wait)),
            429 => Err(Fault::Later(format!("too many requests: {}", told()), wait)),
            408 | 425 | 500..=599 => Err(Fault::Later(told(), wait)),
            300..=399 => Err(Fault::Refused(format!("{}: it answers elsewhere; give the address where it does", told()))),
            _ => Err(Fault::Refused(told())),
        }
    }

    /// Reads the answer to what was asked last.
    ///
    /// # Errors
    /// [`Fault`]; then nothing was taken, and the same can be asked again.
    pub fn take(&mut self, now: i64, answer: &Answer) -> Result<Taken, Fault> {
        self.hear(now, answer);
        match self.asked.take() {
            None => Err(Fault::Protocol("nothing was asked".to_owned())),
            Some(Asked::Prepare) => self.take_prepare(now, answer),
            Some(Asked::Page(walk)) => self.take_page(now, answer, walk),
            Some(Asked::Detail) => self.take_detail(now, answer),
        }
    }

    fn take_prepare(&mut self, now: i64, answer: &Answer) -> Result<Taken, Fault> {
        let accepted = self.description.prepare.get(self.prepared).is_some_and(|prepare| prepare.accept.contains(&answer.status));
        if !accepted {
            self.judge(now, answer)?;
        }
        self.prepared += 1;
        Ok(Taken { more: true, ..Taken::default() })
    }

    fn take_page(&mut self, now: i64, answer: &Answer, walk: Walk) -> Result<Taken, Fault> {
        if walk.next.is_some() && self.description.page.expired.contains(&answer.status) {
            self.place.walk = None;
            return Err(Fault::Later(format!("the place of the next page is not valid any more (status {}); the walk begins again", answer.status), None));
        }
        self.judge(now, answer)?;
        if self.is_astray(now, &walk) {
            return Ok(Taken { more: true, ..Taken::default() });
        }
        let description = Arc::clone(&self.description);
        let read = page::read(&description.page, &description.records.at, walk.next.as_ref(), answer)?;
        let times = self.times(&read.records, now);
        let (after, more) = self.after(now, walk, &read, &times);
        if let Some(detail) = &description.detail {
            return self.take_list(&read.records, &detail.url, after, more);
        }
        let (chunks, duplicates) = self.cut(read.records, &times, after, now);
        Ok(Taken { chunks, duplicates, more })
    }

    /// The very first walk began too late, since our clock is ahead of the server's: now it is known.
    fn is_astray(&self, now: i64, walk: &Walk) -> bool {
        let first = self.place.since.is_none() && walk.next.is_none();
        first && self.window.as_ref().is_some_and(|window| walk.since > self.server_now(now).saturating_sub(window.initial).saturating_add(CLOCK_GRAIN_MS))
    }

    fn take_list(&mut self, records: &[Bytes], pointer: &str, after: Place, more: bool) -> Result<Taken, Fault> {
        let base = self.page_request(&Walk::over(0, 0))?;
        let words = records.iter().filter_map(|record| page::word_of(record, pointer));
        let urls: VecDeque<Url> = words.map(|word| self.given(&word, &base)).collect::<Result<_, _>>()?;
        if urls.is_empty() {
            let (chunks, duplicates) = self.cut(Vec::new(), &[], after, 0);
            return Ok(Taken { chunks, duplicates, more });
        }
        self.details = Some(Details { urls, after, more });
        Ok(Taken { more: true, ..Taken::default() })
    }

    fn take_detail(&mut self, now: i64, answer: &Answer) -> Result<Taken, Fault> {
        self.judge(now, answer)?;
        let description = Arc::clone(&self.description);
        let at = description.detail.as_ref().map(|detail| detail.at.as_str()).unwrap_or_default();
        let records = page::only_records(at, answer)?;
        let Some(details) = self.details.as_mut() else { return Ok(Taken::default()) };
        details.urls.pop_front();
        let last = details.urls.is_empty();
        let (place, more) = if last { (details.after.clone(), details.more) } else { (self.place.clone(), true) };
        if last {
            self.details = None;
        }
        // The window is one over the list, so the keys count from now on, which is later.
        let (chunks, duplicates) = self.cut(records, &[], place, now);
        Ok(Taken { chunks, duplicates, more })
    }

    fn times(&self, records: &[Bytes], now: i64) -> Vec<Option<i64>> {
        let Some(pointer) = &self.description.records.time else { return vec![None; records.len()] };
        let time = |record: &Bytes| page::value_of(record, pointer).and_then(|value| when::of_record(&value, now));
        records.iter().map(time).collect()
    }

    /// The place after a page, and whether to ask on at once.
    fn after(&self, now: i64, walk: Walk, read: &page::Read, times: &[Option<i64>]) -> (Place, bool) {
        let newest = walk.newest.max(times.iter().flatten().max().copied());
        let page = &self.description.page;
        let moved = read.next.is_some() && read.next != walk.next;
        let more = moved && read.more != Some(false);
        // A window whose end was set before the server's clock was known could be too wide.
        let began = if walk.next.is_none() { Some(self.server_now(now)).filter(|began| *began < walk.until) } else { walk.began };
        let here = Place { walk: None, ..self.place.clone() };
        if page.lasting {
            let next = read.next.clone().or_else(|| walk.next.clone());
            let newest = self.place.newest.max(newest.map(|newest| newest.min(self.server_now(now))));
            let since = self.window.as_ref().and_then(|window| newest.map(|newest| newest.saturating_sub(window.look_back))).max(self.place.since);
            let walk = next.is_some().then_some(Walk { next, newest: None, ..walk });
            return (Place { since, newest, walk, ..here }, more && !read.records.is_empty());
        }
        if more {
            return (Place { walk: Some(Walk { began, next: read.next.clone(), newest, ..walk }), ..here }, true);
        }
        self.ended(now, &Walk { began, newest, ..walk }, here)
    }

    /// A walk has ended. Whatever is older than `look_back` before its end was shown; what is newer
    /// than the newest event may only come.
    fn ended(&self, now: i64, walk: &Walk, here: Place) -> (Place, bool) {
        let Some(window) = &self.window else { return (here, false) };
        let end = walk.shown_until();
        let newest = here.newest.max(walk.newest.map(|newest| newest.min(end)));
        let settled = newest.map(|newest| newest.min(end).saturating_sub(window.look_back));
        let gone = end.min(self.server_now(now).saturating_sub(window.look_back));
        let passed = walk.capped.then_some(gone);
        let since = here.since.max(Some(walk.since)).max(settled).max(passed);
        (Place { since, newest, ..here }, walk.capped)
    }

    /// New records in chunks; the last carries the place after the page.
    fn cut(&mut self, records: Vec<Bytes>, times: &[Option<i64>], after: Place, now: i64) -> (Vec<Chunk>, u64) {
        let all = records.len() as u64;
        let mut here: HashSet<u128> = HashSet::new();
        let mut chunks: Vec<(Vec<RawRecord>, i64)> = Vec::new();
        let mut bytes = 0;
        for (record, time) in records.into_iter().zip(times.iter().copied().chain(std::iter::repeat(None))) {
            let id = self.id(&record);
            if self.seen.has(id.0) || !here.insert(id.0) {
                continue;
            }
            let full = chunks.last().is_none_or(|(records, _)| records.len() >= CHUNK_RECORDS_MAX || bytes + record.len() > CHUNK_BYTES_MAX);
            if full {
                chunks.push((Vec::new(), i64::MIN));
                bytes = 0;
            }
            bytes += record.len();
            if let Some((records, newest)) = chunks.last_mut() {
                records.push(RawRecord { id, bytes: record });
                // A lasting place is in order of arrival: the key may be met again as long as arrivals are.
                let met = time.filter(|_| !self.description.page.lasting).unwrap_or_else(|| self.server_now(now));
                *newest = (*newest).max(met);
            }
        }
        let duplicates = all - here.len() as u64;
        if chunks.is_empty() {
            if after.is_where(&self.place) {
                return (Vec::new(), duplicates);
            }
            chunks.push((Vec::new(), i64::MIN));
        }
        let count = chunks.len();
        let number = self.place.number;
        let place_of = |index: usize| if index + 1 == count { after.clone() } else { self.place.clone() };
        let chunk = |(index, (records, newest)): (usize, (Vec<RawRecord>, i64))| {
            let number = number + 1 + index as u64;
            let ids = records.iter().map(|record| record.id.0).collect();
            Chunk { records, keys: Keys { number, newest, ids }, place: Place { number, ..place_of(index) } }
        };
        (chunks.into_iter().enumerate().map(chunk).collect(), duplicates)
    }

    /// The same record has the same id, whatever page it comes on.
    fn id(&self, record: &Bytes) -> RecordId {
        let source = self.settings.source.as_bytes();
        let words: Option<Vec<String>> = self.description.records.key.iter().map(|pointer| page::word_of(record, pointer)).collect();
        match words.filter(|words| !words.is_empty()) {
            Some(words) => RecordId::of(&self.stream, source, words.join("\0").as_bytes()),
            None => RecordId::of(&self.stream, source, record),
        }
    }

    /// The chunk is durable.
    pub fn stored(&mut self, chunk: &Chunk) {
        self.place = chunk.place.clone();
        if !chunk.keys.ids.is_empty() {
            self.seen.add(chunk.keys.clone());
        }
        if let Some(since) = self.oldest() {
            self.seen.forget_before(since);
        }
    }

    /// Records before this instant are not met again, epoch milliseconds: keys of older chunks need
    /// not be kept.
    pub fn oldest(&self) -> Option<i64> {
        let window = self.window.as_ref()?;
        // A lasting place that has expired begins again at `since`, any other walk where it began.
        let walk = self.place.walk.as_ref().filter(|_| !self.description.page.lasting).map_or(i64::MAX, |walk| walk.since);
        Some(self.place.since?.min(walk).saturating_sub(2 * window.form.grain()))
    }

    /// The first chunk whose keys are remembered.
    pub fn oldest_number(&self) -> u64 {
        self.seen.first().unwrap_or(self.place.number)
    }
}
