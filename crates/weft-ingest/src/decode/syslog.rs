//! Syslog lines: RFC 5424, RFC 3164 and what is written in their name, with or without `<PRI>`.

use bumpalo::Bump;

use super::Malformed;
use crate::tree::{Builder, StaticNode};

/// Parts of a header; what is absent is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    pri: Option<u8>,
    timestamp: &'a str,
    host: &'a str,
    app: &'a str,
    pid: &'a str,
    msgid: &'a str,
    structured: &'a str,
    message: &'a str,
}

/// Whether the text begins like a syslog line.
pub fn may_be(text: &str) -> bool {
    text.starts_with('<') || header(text).is_some_and(|header| !header.timestamp.is_empty())
}

/// `pri facility severity timestamp host app pid msgid sd message`
pub fn decode<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let header = header(text).ok_or_else(|| Malformed::form("it does not begin like a syslog line: `<PRI>` or a time is missing"))?;
    write(&header, arena, tree);
    tree.pair("message", header.message);
    Ok(())
}

/// Writes the header under `syslog` and gives the rest; without a header the whole text.
pub fn strip<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) -> &'a str {
    let Some(header) = header(text).filter(|header| header.pri.is_some() || !header.timestamp.is_empty()) else { return text };
    tree.key("syslog");
    tree.object();
    write(&header, arena, tree);
    tree.end();
    header.message
}

fn write<'a>(header: &Header<'a>, arena: &'a Bump, tree: &mut Builder<'a>) {
    if let Some(pri) = header.pri {
        for (key, number) in [("pri", pri), ("facility", pri / 8), ("severity", pri % 8)] {
            tree.key(key);
            tree.scalar(StaticNode::I64(i64::from(number)));
        }
    }
    for (key, text) in [("timestamp", header.timestamp), ("host", header.host), ("app", header.app), ("pid", header.pid), ("msgid", header.msgid)] {
        if !text.is_empty() && text != "-" {
            tree.pair(key, text);
        }
    }
    if header.structured.len() > 1 {
        structured(header.structured, arena, tree);
    }
}

/// The parts of a line; none where it has neither priority nor time.
pub fn header(text: &str) -> Option<Header<'_>> {
    let text = text.trim_start();
    let (pri, rest) = priority(text);
    if let Some(rest) = pri.and_then(|_| rest.strip_prefix("1 ")) {
        return rfc5424(pri, rest);
    }
    // What only a device would write is a time only behind a priority: other logs begin like it.
    let time = if pri.is_some() { epoch(rest).or_else(|| leading_time(rest)) } else { plain_time(rest) };
    let (timestamp, rest) = time.unwrap_or(("", rest));
    if pri.is_none() && timestamp.is_empty() {
        return None;
    }
    if timestamp.is_empty() {
        return Some(Header { pri, message: rest, ..Header::default() });
    }
    Some(rfc3164(pri, timestamp, rest))
}

fn priority(text: &str) -> (Option<u8>, &str) {
    let found =
        text.strip_prefix('<').and_then(|rest| rest.split_once('>')).and_then(|(pri, rest)| Some((pri.parse().ok().filter(|pri: &u8| *pri < 192)?, rest)));
    found.map_or((None, text), |(pri, rest)| (Some(pri), rest))
}

/// RFC 5424 section 6; some senders leave out what stands between host and message.
fn rfc5424(pri: Option<u8>, rest: &str) -> Option<Header<'_>> {
    let short = rest.splitn(3, ' ').collect::<Vec<_>>();
    if let [timestamp, host, message] = *short.as_slice()
        && message.starts_with(['{', '%', '<'])
    {
        return Some(Header { pri, timestamp, host, message, ..Header::default() });
    }
    let mut words = rest.splitn(6, ' ');
    let (timestamp, host, app, pid, msgid) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let rest = words.next().unwrap_or("");
    let (structured, message) =
        if rest.starts_with('[') { rest.split_at_checked(structured_end(rest)).unwrap_or((rest, "")) } else { rest.split_once(' ').unwrap_or((rest, "")) };
    let message = message.trim_start().trim_start_matches('\u{feff}');
    Some(Header { pri, timestamp, host, app, pid, msgid, structured, message })
}

fn structured_end(text: &str) -> usize {
    let (mut quoted, mut escaped, mut open) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => open = true,
            ']' if !quoted => open = false,
            _ if !open => return at,
            _ => {}
        }
    }
    text.len()
}

/// `sd.ID.NAME`; an id loses its enterprise number.
fn structured<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) {
    tree.key("sd");
    tree.object();
    for element in text.split("][") {
        let element = element.trim_matches(['[', ']']);
        let (id, rest) = element.split_once(' ').unwrap_or((element, ""));
        tree.key(id.split_once('@').map_or(id, |(id, _)| id));
        tree.object();
        super::kv::pairs(rest, arena, &mut |key, value| tree.pair(key, value));
        tree.end();
    }
    tree.end();
}

/// RFC 3164 section 4.1: host, then `app[pid]:`; either may be missing.
fn rfc3164<'a>(pri: Option<u8>, timestamp: &'a str, rest: &'a str) -> Header<'a> {
    let rest = rest.trim_start();
    let mut header = Header { pri, timestamp, message: rest, ..Header::default() };
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let after = if first.is_empty() || (tag(first).is_some() && first.ends_with(':')) {
        rest
    } else {
        header.host = first.trim_end_matches(':');
        after.trim_start()
    };
    header.message = after;
    // Some routers write their own sequence and time after the host; the tag is what ends in a colon.
    if let Some((word, message)) = after.split_once(':').filter(|(word, _)| !word.contains(' ') || word.ends_with(']'))
        && let Some((app, pid)) = tag(word)
    {
        (header.app, header.pid, header.message) = (app, pid, message.trim_start());
    }
    header
}

/// `app`, `app[pid]`, `app(module)[pid]`
fn tag(word: &str) -> Option<(&str, &str)> {
    let word = word.trim_end_matches(':');
    let (app, pid) = match word.split_once('[') {
        Some((app, pid)) => (app, pid.trim_end_matches(']')),
        None => (word, ""),
    };
    let named = !app.is_empty() && app.len() <= 64 && !app.contains(['=', '{', '"', '|', ' ']);
    named.then_some((app, pid))
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn is_month(text: Option<&str>) -> bool {
    text.is_some_and(|text| MONTHS.iter().any(|month| month.eq_ignore_ascii_case(text)))
}

/// `Nov  9 08:19:41`, or RFC 3339.
fn plain_time(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().trim_start_matches('*');
    let first = text.as_bytes().first()?;
    let plain = is_month(text.get(..3)) || (first.is_ascii_digit() && text.as_bytes().get(4) == Some(&b'-'));
    if plain { leading_time(text) } else { None }
}

/// The time at the start: `Nov  9 08:19:41`, with a year before or after the day, RFC 3339, with a
/// space or slashes, in brackets, with the day or the year first, or an epoch.
fn leading_time(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().trim_start_matches(['*', '.']).trim_start();
    if let Some((time, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let whole = leading_time(time).is_some_and(|(_, left)| left.trim().is_empty()) || is_access_time(time);
        return whole.then_some((time, rest));
    }
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) { numeric_time(text) } else { named_time(text) }
}

/// `13/Aug/2024:15:58:20 +0000`
fn is_access_time(text: &str) -> bool {
    is_month(text.get(3..6)) && text.as_bytes().get(11) == Some(&b':')
}

/// `1723564700`, `1723564700.353`
fn epoch(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ')?;
    let seconds = word.split_once('.').map_or(word, |(seconds, _)| seconds);
    (seconds.len() == 10 && seconds.starts_with(['1', '2']) && seconds.bytes().all(|byte| byte.is_ascii_digit())).then_some((word, rest))
}

fn numeric_time(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let bytes = word.as_bytes();
    let dated = matches!(bytes, [_, _, _, _, b'-' | b'/', _, _, b'-' | b'/', ..] | [_, _, b'/' | b'.' | b'-', _, _, b'/' | b'.' | b'-', _, _, _, _]);
    if dated && bytes.get(10).is_some_and(|byte| matches!(byte, b'T' | b't')) && bytes.len() >= 19 {
        return Some((word.trim_end_matches(':'), rest));
    }
    let (clock, after) = rest.trim_start().split_once([' ', '\t']).unwrap_or((rest.trim_start(), ""));
    if dated && bytes.len() == 10 && clock.as_bytes().get(2) == Some(&b':') {
        return until(text, clock).map(|(time, rest)| (time.trim_end_matches([':', ',']), rest));
    }
    // `13 Aug 2024 15:58:20`, `2024 Aug 13 15:58:20`
    if is_month(clock.get(..3)) && clock.len() == 3 && bytes.len() <= 4 && bytes.iter().all(u8::is_ascii_digit) {
        let third = after.split_ascii_whitespace().nth(1)?;
        return (third.as_bytes().get(2) == Some(&b':')).then(|| until(text, third))?;
    }
    None
}

/// Up to the end of a part of the text.
fn until<'a>(text: &'a str, part: &str) -> Option<(&'a str, &'a str)> {
    let end = text.find(part)? + part.len();
    text.split_at_checked(end)
}

fn named_time(text: &str) -> Option<(&str, &str)> {
    let dayless = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().find_map(|day| text.strip_prefix(day)).map(str::trim_start);
    if let Some((time, rest)) = dayless.and_then(named_time) {
        let year = rest.trim_start().split(' ').next().filter(|year| year.len() == 4 && year.starts_with("20"));
        return year.map_or(Some((time, rest)), |year| until(text, year));
    }
    if !is_month(text.get(..3)) {
        return None;
    }
    let colon = text.find(':').filter(|colon| *colon <= 16)?;
    let clock_end = text.get(colon..)?.find([' ', '\t']).map_or(text.len(), |end| colon + end);
    let (time, rest) = text.split_at_checked(clock_end)?;
    let time = time.trim_end_matches(':');
    (time.split_ascii_whitespace().count() >= 3 || text.as_bytes().get(3) == Some(&b'/')).then_some((time, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_exist() {
        let parsed = header("<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed").unwrap();
        assert_eq!(
            parsed,
            Header { pri: Some(34), timestamp: "Oct 11 22:14:15", host: "mymachine", app: "su", pid: "12", message: "'su root' failed", ..Header::default() }
        );
        let parsed =
            header(r#"<165>1 2003-10-11T22:14:15.003Z host.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="App ]"][x a="b"] An event"#)
                .unwrap();
        assert_eq!((parsed.host, parsed.msgid, parsed.message), ("host.example.com", "ID47", "An event"));
        let parsed = header("2024-05-01T10:00:00.123456+02:00 web01 sshd[99]: Accepted publickey for root").unwrap();
        assert_eq!((parsed.host, parsed.app, parsed.pid, parsed.message), ("web01", "sshd", "99", "Accepted publickey for root"));
        let parsed = header("Nov  9 08:19:41 host kernel: [1.0] up").unwrap();
        assert_eq!((parsed.app, parsed.message), ("kernel", "[1.0] up"));
        for time in [
            "2024/08/13 15:58:20",
            "13 Aug 2024 15:58:20",
            "2024 Aug 13 15:58:20",
            "13.08.2024 15:58:20",
            "1723564700",
            "1723564700.353",
            "Aug 13 2024 15:58:20",
            "Tue Aug 13 15:58:20 2024",
            "aug/13/2024 15:58:20",
            "2024-08-13T15:58:20.353+02:00",
        ] {
            let line = format!("<13>{time} fw1 app: said");
            let parsed = header(&line).unwrap();
            assert_eq!((parsed.timestamp, parsed.host, parsed.app, parsed.message), (time, "fw1", "app", "said"), "{time}");
        }
        assert_eq!(header("<13>[2024-08-13 15:58:20] fw1 app: said").unwrap().timestamp, "2024-08-13 15:58:20");
        assert!(header("[2024-08-13T15:58:20Z] \"GET / HTTP/1.1\" 200").is_none());
        assert_eq!(header("<13>plain words").unwrap().message, "plain words");
        assert!(header("plain words").is_none());
    }
}
