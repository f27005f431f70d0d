//! Bytes of a stream to records: lines, and the octet counting of RFC 6587.
//!
//! Memory is bounded by the longest record that is allowed: of a longer one the beginning is
//! kept, the rest is counted and passed over, and the next record is found again.

use bytes::{Bytes, BytesMut};

/// How much of a record that is too long is kept.
pub const KEPT_BYTES_MAX: usize = 1 << 20;
/// Digits of an octet count; RFC 6587 sets no limit, nothing sensible needs more.
const COUNT_DIGITS_MAX: usize = 9;

/// What was cut out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// One record, without its line end.
    Record(Bytes),
    /// A record over the limit.
    TooLarge {
        /// Its beginning.
        kept: Bytes,
        /// Its whole length.
        length: u64,
    },
}

impl Framed {
    /// What was cut out elsewhere, within `record_max`.
    pub fn of(record: Bytes, record_max: usize) -> Self {
        if record.len() > record_max { too_large(&record, record.len() as u64) } else { Self::Record(record) }
    }
}

/// Cuts at line feeds; a carriage return before one goes with it, empty lines are nothing.
#[derive(Debug)]
pub struct Lines {
    carry: BytesMut,
    passed: u64,
    record_max: usize,
}

impl Lines {
    /// Lines of at most `record_max` bytes.
    pub fn new(record_max: usize) -> Self {
        Self { carry: BytesMut::new(), passed: 0, record_max }
    }

    /// Cuts a further piece; lines that lie wholly in it are not copied.
    pub fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Framed>) {
        while let Some(end) = memchr::memchr(b'\n', &chunk) {
            let line = chunk.split_to(end);
            let _line_feed = chunk.split_to(1);
            if self.carry.is_empty() && self.passed == 0 {
                self.emit(line, out);
            } else {
                self.keep(&line);
                self.flush(out);
            }
        }
        self.keep(&chunk);
    }

    /// The last line, when the stream ends without a line feed.
    pub fn finish(&mut self, out: &mut Vec<Framed>) {
        self.flush(out);
    }

    /// Bytes of the line that has begun.
    pub fn pending(&self) -> u64 {
        self.carry.len() as u64 + self.passed
    }

    fn keep(&mut self, piece: &[u8]) {
        // One byte more than allowed: it shows that the line is too long.
        let room = (self.record_max + 1).saturating_sub(self.carry.len());
        let (kept, passed) = piece.split_at(room.min(piece.len()));
        self.carry.extend_from_slice(kept);
        self.passed += passed.len() as u64;
    }

    fn flush(&mut self, out: &mut Vec<Framed>) {
        let passed = std::mem::take(&mut self.passed);
        let line = self.carry.split().freeze();
        if passed > 0 {
            out.push(too_large(&line, line.len() as u64 + passed));
        } else {
            self.emit(line, out);
        }
    }

    fn emit(&self, mut line: Bytes, out: &mut Vec<Framed>) {
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.record_max {
            out.push(too_large(&line, line.len() as u64));
        } else if !line.is_empty() {
            out.push(Framed::Record(line));
        }
    }
}

fn too_large(line: &Bytes, length: u64) -> Framed {
    // A copy, so that a small rest does not hold a large buffer.
    let kept = line.get(..KEPT_BYTES_MAX).unwrap_or(line);
    Framed::TooLarge { kept: Bytes::copy_from_slice(kept), length }
}

/// Syslog over TCP: each message is framed by octet counting when it begins with a digit other
/// than 0, else by a line feed or NUL (RFC 6587, section 3.4).
#[derive(Debug)]
pub struct SyslogFrames {
    buffer: BytesMut,
    passing: Option<Passing>,
    record_max: usize,
}

/// A message that is too long, while it is passed over.
#[derive(Debug)]
struct Passing {
    kept: BytesMut,
    length: u64,
    /// Octets still to come; none when it ends at a line end.
    left: Option<usize>,
}

impl SyslogFrames {
    /// Messages of at most `record_max` octets.
    pub fn new(record_max: usize) -> Self {
        Self { buffer: BytesMut::new(), passing: None, record_max }
    }

    /// Cuts a further piece.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<Framed>) {
        self.buffer.extend_from_slice(chunk);
        while self.step(out) {}
    }

    /// The last message, when the connection ends without its end.
    pub fn finish(&mut self, out: &mut Vec<Framed>) {
        out.extend(self.passing.take().map(Passing::end));
        push_trimmed(self.buffer.split().freeze(), out);
    }

    /// Takes one message or learns one thing; false when more octets are needed.
    fn step(&mut self, out: &mut Vec<Framed>) -> bool {
        if let Some(passing) = self.passing.take() {
            return self.pass(passing, out);
        }
        if matches!(self.buffer.first(), Some(b'\n' | b'\r' | 0 | b' ')) {
            let _separator = self.buffer.split_to(1);
            return true;
        }
        match octet_count(&self.buffer) {
            Count::More => false,
            Count::Octets { header, octets } => self.counted(header, octets, out),
            Count::None => self.line(out),
        }
    }

    fn counted(&mut self, header: usize, octets: usize, out: &mut Vec<Framed>) -> bool {
        if octets <= self.record_max && self.buffer.len() < header + octets {
            return false;
        }
        let _header = self.buffer.split_to(header);
        if octets > self.record_max {
            self.passing = Some(Passing { kept: BytesMut::new(), length: 0, left: Some(octets) });
        } else {
            push_trimmed(self.buffer.split_to(octets).freeze(), out);
        }
        true
    }

    fn line(&mut self, out: &mut Vec<Framed>) -> bool {
        match memchr::memchr2(b'\n', 0, &self.buffer) {
            Some(end) if end <= self.record_max => push_trimmed(self.buffer.split_to(end).freeze(), out),
            None if self.buffer.len() <= self.record_max => return false,
            _ => self.passing = Some(Passing { kept: BytesMut::new(), length: 0, left: None }),
        }
        true
    }

    fn pass(&mut self, mut passing: Passing, out: &mut Vec<Framed>) -> bool {
        let end = match passing.left {
            Some(left) => (left <= self.buffer.len()).then_some(left),
            None => memchr::memchr2(b'\n', 0, &self.buffer),
        };
        let piece = self.buffer.split_to(end.unwrap_or(self.buffer.len()));
        passing.take(&piece);
        if end.is_some() {
            out.push(passing.end());
        } else {
            self.passing = Some(passing);
        }
        end.is_some()
    }
}

impl Passing {
    fn take(&mut self, piece: &[u8]) {
        let room = KEPT_BYTES_MAX.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(piece.split_at(room).0);
        self.length += piece.len() as u64;
        self.left = self.left.map(|left| left.saturating_sub(piece.len()));
    }

    fn end(self) -> Framed {
        Framed::TooLarge { kept: self.kept.freeze(), length: self.length }
    }
}

enum Count {
    More,
    None,
    Octets { header: usize, octets: usize },
}

/// `MSG-LEN SP` of RFC 6587; a number without the blank after it is the start of a plain line.
fn octet_count(buffer: &[u8]) -> Count {
    if !matches!(buffer.first(), Some(b'1'..=b'9')) {
        return Count::None;
    }
    let digits = buffer.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > COUNT_DIGITS_MAX {
        return Count::None;
    }
    match buffer.get(digits) {
        None => Count::More,
        Some(b' ') => {
            let octets = buffer.iter().take(digits).fold(0_usize, |sum, byte| sum * 10 + usize::from(byte - b'0'));
            Count::Octets { header: digits + 1, octets }
        }
        Some(_) => Count::None,
    }
}

fn push_trimmed(mut record: Bytes, out: &mut Vec<Framed>) {
    while matches!(record.last(), Some(b'\n' | b'\r' | 0)) {
        record.truncate(record.len() - 1);
    }
    if !record.is_empty() {
        out.push(Framed::Record(record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], max: usize) -> Vec<Framed> {
        let (mut framer, mut out) = (Lines::new(max), Vec::new());
        for piece in pieces {
            framer.push(Bytes::copy_from_slice(piece), &mut out);
        }
        framer.finish(&mut out);
        out
    }

    fn syslog(input: &[u8], step: usize, max: usize) -> Vec<Framed> {
        let (mut framer, mut out) = (SyslogFrames::new(max), Vec::new());
        input.chunks(step).for_each(|piece| framer.push(piece, &mut out));
        framer.finish(&mut out);
        out
    }

    fn record(text: &str) -> Framed {
        Framed::Record(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let whole = b"one\r\ntwo\n\n\nthree";
        for at in 0..whole.len() {
            let (left, right) = whole.split_at(at);
            assert_eq!(lines(&[left, right], 100), [record("one"), record("two"), record("three")], "cut at {at}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_leaves_its_neighbours() {
        let out = lines(&[b"a\nxxxxx", b"xxxxx", b"xx\nb\n"], 4);
        let kept = Bytes::from_static(b"xxxxx");
        assert_eq!(out, [record("a"), Framed::TooLarge { kept, length: 12 }, record("b")]);
        assert!(matches!(lines(&[b"yyyyy\nc"], 4).as_slice(), [Framed::TooLarge { length: 5, .. }, Framed::Record(_)]));
    }

    #[test]
    fn syslog_mixes_both_framings() {
        let input = b"5 <1>ab<2>line\n11 <3>a\nb\nc d\n<4>nul\0<5>end";
        for step in 1..input.len() {
            assert_eq!(
                syslog(input, step, 100),
                [record("<1>ab"), record("<2>line"), record("<3>a\nb\nc d"), record("<4>nul"), record("<5>end")],
                "steps of {step}"
            );
        }
    }

    #[test]
    fn syslog_passes_over_what_is_too_long() {
        for step in [1, 3, 7, 100] {
            let out = syslog(b"20 xxxxxxxxxxxxxxxxxxxx3 abcyyyyyyyyyyyyyyyyyyyyyyy\n<1>z\n", step, 8);
            let shape: Vec<String> = out
                .iter()
                .map(|f| match f {
                    Framed::Record(r) => String::from_utf8_lossy(r).into_owned(),
                    Framed::TooLarge { length, .. } => format!("too large {length}"),
                })
                .collect();
            assert_eq!(shape, ["too large 20", "abc", "too large 23", "<1>z"], "steps of {step}");
        }
    }
}
