//! A stream of bytes to raw records, as they arrive.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use weft_model::{Context, RejectCause};

use super::envelope::{self, Search};
use super::{Framing, KEPT_BYTES, Piece, RECORD_BYTES_MAX};
use crate::decode::csv_header;
use crate::language::file::Format;

/// Bytes looked at to tell how the rest is split.
const SNIFF_BYTES: usize = 4096;

/// Splits bytes into records; feed it with [`push`](Self::push), end with [`finish`](Self::finish).
pub struct Splitter {
    framing: Framing,
    context: Context,
    kind: Option<Kind>,
    buffer: BytesMut,
    /// Offset of the buffer's first byte in the source.
    offset: u64,
    /// Bytes of a line that is too long: counted, not kept.
    skipped: u64,
    header: Vec<String>,
    seen_line: bool,
    envelope: Envelope,
    record_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lines,
    Json,
    Zeek,
    Csv,
    Events,
    Xml,
}

/// Whether objects of a JSON file carry the records in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    Unknown,
    No,
    Yes,
    /// Inside the array, this deep in objects that are skipped afterwards.
    Inside(usize),
    After(usize),
}

impl Splitter {
    /// For one source.
    pub fn new(framing: Framing, context: Context) -> Self {
        let envelope = if framing.records.is_empty() { Envelope::No } else { Envelope::Unknown };
        Self {
            framing,
            context,
            kind: None,
            buffer: BytesMut::new(),
            offset: 0,
            skipped: 0,
            header: Vec::new(),
            seen_line: false,
            envelope,
            record_max: RECORD_BYTES_MAX,
        }
    }

    /// Records of at most `bytes`.
    #[must_use]
    pub fn with_record_max(self, bytes: usize) -> Self {
        Self { record_max: bytes.min(RECORD_BYTES_MAX), ..self }
    }

    /// Takes the next bytes of the source.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(Piece)) {
        self.buffer.extend_from_slice(bytes);
        if self.kind.is_none() && self.buffer.len() >= SNIFF_BYTES {
            self.kind = Some(self.sniff());
        }
        if self.kind.is_some() {
            self.split(false, take);
        }
    }

    /// The source has ended.
    pub fn finish(&mut self, take: &mut dyn FnMut(Piece)) {
        if self.kind.is_none() {
            self.kind = Some(self.sniff());
        }
        self.split(true, take);
        self.too_long(take);
    }

    /// Offset after the last record that was given out.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn sniff(&self) -> Kind {
        let head = self.buffer.get(..SNIFF_BYTES.min(self.buffer.len())).unwrap_or_default();
        let head = String::from_utf8_lossy(head);
        let head = head.trim_start_matches('\u{feff}').trim_start();
        let json = Format::Json;
        let reads_json = self.framing.formats.is_empty() || self.framing.formats.iter().any(|format| format.reads_json()) || self.framing.allows(json);
        match head.chars().next() {
            Some('{') if reads_json => Kind::Json,
            // `[error] …` and `[2026-…` begin lines of text.
            Some('[') if reads_json && head.trim_start_matches(['[', ' ', '\r', '\n', '\t']).starts_with(['{', ']']) => Kind::Json,
            Some('#') if self.framing.allows(Format::Zeek) && (head.starts_with("#separator") || head.starts_with("#fields")) => Kind::Zeek,
            Some('<')
                if (self.framing.allows(Format::Evtx) || self.framing.allows(Format::Xml)) && (head.starts_with("<Event") || head.starts_with("<?xml")) =>
            {
                Kind::Xml
            }
            _ if self.framing.allows(Format::WineventText) && head.contains("EventCode=") && head.contains("LogName=") => Kind::Events,
            _ if self.framing.formats.first() == Some(&Format::Csv) => Kind::Csv,
            // Beside other forms, a first line that names the stream's columns tells.
            _ if self.framing.formats.contains(&Format::Csv) && crate::decode::is_csv_header(head.lines().next().unwrap_or_default(), self.framing.form()) => {
                Kind::Csv
            }
            _ if self.framing.formats.is_empty() && csv_header(head.lines().next().unwrap_or_default()) => Kind::Csv,
            _ => Kind::Lines,
        }
    }

    fn split(&mut self, end: bool, take: &mut dyn FnMut(Piece)) {
        match self.kind {
            Some(Kind::Json) => self.json(end, take),
            Some(Kind::Events) => self.documents(end, take, event_start),
            Some(Kind::Xml) => {
                self.documents(end, take, |text| memchr::memmem::find_iter(text, b"<Event").find(|at| *at > 0 && matches!(text.get(at + 6), Some(b' ' | b'>'))))
            }
            _ => self.lines(end, take),
        }
    }

    /// Gives out the first `length` bytes as a record and drops `after` more.
    fn emit(&mut self, length: usize, after: usize, take: &mut dyn FnMut(Piece)) {
        let at = self.offset;
        let record = self.buffer.split_to(length.min(self.buffer.len())).freeze();
        self.drop_front(after);
        self.offset += length as u64;
        let trimmed = record.slice_ref(record.trim_ascii());
        if trimmed.is_empty() {
            return;
        }
        if trimmed.len() > self.record_max {
            let message = format!("the record has {} bytes; the limit is {}, the first {KEPT_BYTES} are kept", trimmed.len(), self.record_max);
            take(Piece::Fault { at, cause: RejectCause::TooLarge, message, raw: Bytes::copy_from_slice(trimmed.get(..KEPT_BYTES).unwrap_or_default()) });
            return;
        }
        // A small record must not keep a large read buffer alive.
        take(Piece::Record { at, bytes: trimmed });
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.buffer.advance(count);
        self.offset += count as u64;
    }

    fn lines(&mut self, end: bool, take: &mut dyn FnMut(Piece)) {
        while let Some(at) = memchr::memchr(b'\n', &self.buffer) {
            if self.skipped > 0 {
                self.skipped += at as u64;
                self.drop_front(at + 1);
                self.too_long(take);
                continue;
            }
            self.line(at, 1, take);
        }
        if self.buffer.len() > self.record_max || self.skipped > 0 {
            self.skip(take);
        } else if end {
            self.line(self.buffer.len(), 0, take);
        }
    }

    /// The start of a line that is too long is kept, the rest only counted.
    fn skip(&mut self, _take: &mut dyn FnMut(Piece)) {
        if self.skipped == 0 {
            let kept = String::from_utf8_lossy(self.buffer.get(..KEPT_BYTES.min(self.buffer.len())).unwrap_or_default()).into_owned();
            self.header.push(kept);
        }
        let count = self.buffer.len();
        self.skipped += count as u64;
        self.drop_front(count);
    }

    fn too_long(&mut self, take: &mut dyn FnMut(Piece)) {
        if self.skipped == 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.skipped);
        let raw = Bytes::from(self.header.pop().unwrap_or_default());
        let message = format!("the record has {bytes} bytes; the limit is {}, the first {} are kept", self.record_max, raw.len());
        take(Piece::Fault { at: self.offset.saturating_sub(bytes), cause: RejectCause::TooLarge, message, raw });
    }

    fn line(&mut self, length: usize, after: usize, take: &mut dyn FnMut(Piece)) {
        let first = !std::mem::replace(&mut self.seen_line, true);
        let line = self.buffer.get(..length).unwrap_or_default();
        if self.kind == Some(Kind::Zeek) && line.first() == Some(&b'#') {
            return self.zeek_header(length, after, take);
        }
        if self.kind == Some(Kind::Csv) && first {
            let text = String::from_utf8_lossy(line).trim().to_owned();
            if crate::decode::is_csv_header(&text, self.framing.form()) {
                self.context.header = Some(text.into());
                take(Piece::Context(Arc::new(self.context.clone())));
                return self.drop_front(length + after);
            }
        }
        self.emit(length, after, take);
    }

    /// A new `#separator` begins a new header: rotated logs are often joined.
    fn zeek_header(&mut self, length: usize, after: usize, take: &mut dyn FnMut(Piece)) {
        let line = String::from_utf8_lossy(self.buffer.get(..length).unwrap_or_default()).trim_end().to_owned();
        self.drop_front(length + after);
        if line.starts_with("#close") || line.starts_with("#open") {
            return;
        }
        if line.starts_with("#separator") {
            self.header.clear();
        }
        let complete = line.starts_with("#types");
        self.header.push(line);
        if complete {
            self.context.header = Some(self.header.join("\n").into());
            take(Piece::Context(Arc::new(self.context.clone())));
        }
    }

    /// Records of several lines: each reaches to where the next one starts.
    fn documents(&mut self, end: bool, take: &mut dyn FnMut(Piece), next: impl Fn(&[u8]) -> Option<usize>) {
        while let Some(at) = next(&self.buffer) {
            self.emit(at, 0, take);
        }
        if end || self.buffer.len() > self.record_max {
            self.emit(self.buffer.len(), 0, take);
        }
    }

    fn json(&mut self, end: bool, take: &mut dyn FnMut(Piece)) {
        loop {
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | 0xEF | 0xBB | 0xBF)).count();
            self.drop_front(blank);
            let Some(first) = self.buffer.first().copied() else { return };
            match (first, self.envelope) {
                (b']', Envelope::Inside(depth)) => {
                    self.envelope = Envelope::After(depth);
                    self.drop_front(1);
                }
                (b']', _) => self.drop_front(1),
                (_, Envelope::After(depth)) => match envelope::after(&self.buffer, depth) {
                    Some(length) => {
                        self.drop_front(length);
                        self.envelope = Envelope::Yes;
                    }
                    None if end => return self.drop_front(self.buffer.len()),
                    None => return,
                },
                (b'{', Envelope::Unknown | Envelope::Yes) => match envelope::search(&self.buffer, &self.framing.records, end) {
                    Search::Found { .. } if self.is_record(end) => self.envelope = Envelope::No,
                    Search::Found { at, depth } => {
                        self.drop_front(at);
                        self.envelope = Envelope::Inside(depth);
                    }
                    Search::None => {
                        self.envelope = Envelope::No;
                    }
                    Search::More => return,
                },
                (b'{', envelope) => match object(&self.buffer, !matches!(envelope, Envelope::Inside(_)), end) {
                    Some(length) => self.emit(length, 0, take),
                    None if self.buffer.len() > self.record_max => {
                        self.emit_line(true, take);
                    }
                    None => return,
                },
                _ => {
                    if !self.emit_line(end, take) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the object at the start is a record in its own right, though it has an array that
    /// could carry some: a stream claims it. One that is not complete yet is too large for that.
    fn is_record(&self, end: bool) -> bool {
        let Some(registry) = &self.framing.registry else { return false };
        let whole = object(&self.buffer, true, end).and_then(|length| self.buffer.get(..length));
        whole.is_some_and(|object| registry.claims(object))
    }

    /// What is no JSON value goes out line by line, to be judged by the mapping.
    fn emit_line(&mut self, end: bool, take: &mut dyn FnMut(Piece)) -> bool {
        match memchr::memchr(b'\n', &self.buffer) {
            Some(at) => self.emit(at, 1, take),
            None if end || self.buffer.len() > self.record_max => self.emit(self.buffer.len(), 0, take),
            None => return false,
        }
        true
    }
}

/// Length of the object at the start; none while it is not complete.
///
/// A line that cannot be part of an object (a newline inside a text, or the next line beginning
/// with `{`) ends it, so that one broken line does not take its neighbours with it.
fn object(bytes: &[u8], alone: bool, end: bool) -> Option<usize> {
    // Most files have one object a line; within an array a line may hold several.
    if let Some(newline) = memchr::memchr(b'\n', bytes).filter(|_| alone) {
        let line = bytes.get(..newline).unwrap_or_default().trim_ascii_end();
        let next = bytes.get(newline + 1);
        if line.last() == Some(&b'}') && matches!(next, Some(b'{')) {
            return Some(newline);
        }
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && (in_text || bytes.get(at + 1) == Some(&b'{')) {
            return Some(at);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    end.then_some(bytes.len())
}

/// `03/12/2021 10:48:14 AM` on a line of its own, not at the very start.
fn event_start(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', text).map(|at| at + 1).find(|at| {
        let line = text.get(*at..).unwrap_or_default();
        matches!(line, [d1, _, b'/', d2, _, b'/', y, ..] if d1.is_ascii_digit() && d2.is_ascii_digit() && y.is_ascii_digit())
    })
}

impl std::fmt::Debug for Splitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Splitter").field("kind", &self.kind).field("offset", &self.offset).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(framing: &Framing, text: &[u8], step: usize) -> Vec<String> {
        let mut records = Vec::new();
        let mut take = |piece: Piece| match piece {
            Piece::Record { bytes, .. } => records.push(String::from_utf8_lossy(&bytes).into_owned()),
            Piece::Fault { cause, .. } => records.push(format!("fault {}", cause.name())),
            Piece::Context(_) => {}
        };
        let mut splitter = Splitter::new(framing.clone(), Context::default());
        text.chunks(step).for_each(|chunk| splitter.push(chunk, &mut take));
        splitter.finish(&mut take);
        records
    }

    #[test]
    fn json_in_all_its_dresses() {
        let framing = Framing { formats: vec![Format::Json], records: vec!["Records".to_owned()], ..Framing::default() };
        for step in [1, 7, 4096] {
            assert_eq!(split(&framing, b"{\"a\":1}\n{\"b\":\"}\"}\r\n\n{\"c\":3}", step), ["{\"a\":1}", "{\"b\":\"}\"}", "{\"c\":3}"]);
            assert_eq!(split(&framing, b"[{\"a\":1},\n {\"b\":2}]", step), ["{\"a\":1}", "{\"b\":2}"]);
            assert_eq!(
                split(&framing, b"{\"v\":[1],\"Records\":[{\"a\":1},{\"b\":[2]}],\"z\":{}}\n{\"Records\":[{\"c\":3}]}", step),
                ["{\"a\":1}", "{\"b\":[2]}", "{\"c\":3}"]
            );
            assert_eq!(split(&framing, b"{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", step), ["{\n  \"a\": {\n    \"b\": 1\n  }\n}"]);
            assert_eq!(
                split(&framing, b"{\"a\":1}\n{\"broken\": \"x\n{\"c\":3}\nnot json\n{\"d\":4}\n{\"e\":", step),
                ["{\"a\":1}", "{\"broken\": \"x", "{\"c\":3}", "not json", "{\"d\":4}", "{\"e\":"]
            );
        }
    }

    #[test]
    fn lines_headers_and_what_is_too_long() {
        let framing = Framing::default();
        assert_eq!(split(&framing, b"one\ntwo\r\n\nthree", 2), ["one", "two", "three"]);
        let zeek = b"#separator \\x09\n#path\tdns\n#fields\ta\n#types\tstring\nx\n#close\n";
        assert_eq!(split(&framing, zeek, 5), ["x"]);
        let mut long = vec![b'a'; RECORD_BYTES_MAX + 10];
        long.extend_from_slice(b"\nnext\n");
        assert_eq!(split(&framing, &long, 1 << 20), ["fault too_large", "next"]);
    }
}
