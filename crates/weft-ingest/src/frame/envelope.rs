//! JSON documents that carry their records in an array: where it begins, where the rest ends.
//!
//! The document is scanned, not parsed: it may be far larger than memory.

use super::RECORD_BYTES_MAX;

/// What was found at the start of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The records begin at this offset, within so many objects.
    Found {
        /// Offset behind the bracket.
        at: usize,
        /// Objects that are open there.
        depth: usize,
    },
    /// No array of records.
    None,
    /// More bytes are needed to tell.
    More,
}

/// Texts and brackets of JSON, byte by byte.
#[derive(Default)]
struct Scan {
    in_text: bool,
    escaped: bool,
}

impl Scan {
    /// Whether the byte is outside of texts; quotes are not.
    fn is_outside(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ => return !self.in_text,
        }
        false
    }
}

/// Where the records begin, if one of `paths` (keys, or keys joined by dots) leads to an array of
/// objects.
pub(super) fn search(bytes: &[u8], paths: &[String], end: bool) -> Search {
    let mut scan = Scan::default();
    // The key of everything that is open; none for the document itself and for items.
    let mut open: Vec<Option<&[u8]>> = Vec::new();
    let (mut start, mut key) = (0, None);
    for (at, byte) in bytes.iter().enumerate() {
        let was_text = scan.in_text;
        if !scan.is_outside(*byte) {
            match (was_text, scan.in_text) {
                (false, true) => start = at + 1,
                (true, false) => key = bytes.get(start..at),
                _ => {}
            }
            continue;
        }
        match byte {
            b'[' if leads(paths, &open, key) => {
                // An array of anything but objects carries no records.
                match bytes.get(at + 1..).and_then(|rest| rest.iter().find(|byte| !byte.is_ascii_whitespace())) {
                    Some(b'{' | b']') => return Search::Found { at: at + 1, depth: open.len() },
                    None if !end => return Search::More,
                    _ => open.push(None),
                }
            }
            // Keys of items have no path.
            b'[' => open.push(None),
            b'{' => open.push(key.take()),
            b'}' | b']' => {
                open.pop();
                if open.is_empty() {
                    return Search::None;
                }
            }
            b',' => key = None,
            b'\n' if !open.is_empty() && bytes.get(at + 1) == Some(&b'{') => return Search::None,
            _ => {}
        }
    }
    if end || bytes.len() > RECORD_BYTES_MAX { Search::None } else { Search::More }
}

/// Whether one of the paths is that of `key` within what is open.
fn leads(paths: &[String], open: &[Option<&[u8]>], key: Option<&[u8]>) -> bool {
    let Some((_, above)) = open.split_first() else { return false };
    let here = || above.iter().copied().chain([key]);
    paths.iter().any(|path| here().eq(path.split('.').map(|key| Some(key.as_bytes()))) || above.is_empty() && key == Some(path.as_bytes()))
}

/// Length of what follows the array, up to and with the brace that closes the last of `depth`
/// objects; none while that has not come.
pub(super) fn after(bytes: &[u8], depth: usize) -> Option<usize> {
    let (mut scan, mut depth) = (Scan::default(), depth);
    for (at, byte) in bytes.iter().enumerate() {
        if !scan.is_outside(*byte) {
            continue;
        }
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, paths: &[&str]) -> Option<(String, usize)> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        match search(text.as_bytes(), &paths, true) {
            Search::Found { at, depth } => Some((text.get(at..)?.to_owned(), depth)),
            _ => None,
        }
    }

    #[test]
    fn records_by_key_and_by_path() {
        assert_eq!(found(r#"{"a":1,"Records":[{"x":1}]}"#, &["Records"]), Some((r#"{"x":1}]}"#.to_owned(), 1)));
        assert_eq!(found(r#"{"detail":{"id":"[","findings": [ {"x":1}]}}"#, &["detail.findings"]), Some((r#" {"x":1}]}}"#.to_owned(), 2)));
        assert_eq!(found(r#"{"data.events":[{}]}"#, &["data.events"]), Some(("{}]}".to_owned(), 1)));
        assert_eq!(found(r#"{"data":{"x":{"events":[{}]}}}"#, &["data.events"]), None);
        assert_eq!(found(r#"{"list":[{"events":[{}]}]}"#, &["events", "list.events"]), None);
        assert_eq!(found(r#"{"events":["text"],"other":[{}]}"#, &["events"]), None);
        assert_eq!(found(r#"{"why":"\"events\":[{","events":[{"x":2}]}"#, &["events"]), Some((r#"{"x":2}]}"#.to_owned(), 1)));
    }

    #[test]
    fn the_rest_of_the_document_is_skipped_to_its_end() {
        assert_eq!(after(b",\"n\":{\"t\":\"}\"}}rest", 1), Some(15));
        assert_eq!(after(b"}}rest", 2), Some(2));
        assert_eq!(after(b"}", 2), None);
    }
}
