//! JSON by `simd-json`, behind a guard for depth.

use bumpalo::Bump;
use bumpalo::collections::Vec;
use weft_model::RejectCause;

use super::{DEPTH_MAX, Malformed, NODES_MAX};
use crate::map::Scratch;
use crate::tree::{Node, Nodes};

/// Parses one JSON object.
pub fn decode<'a>(text: &str, scratch: &mut Scratch, arena: &'a Bump) -> Result<&'a Nodes<'a>, Malformed> {
    guard(text.as_bytes(), DEPTH_MAX)?;
    // The parser unescapes texts in place.
    let mut copy = Vec::with_capacity_in(text.len() + simd_json::INPUT_PADDING, arena);
    copy.extend_from_slice_copy(text.as_bytes());
    copy.resize(text.len() + simd_json::INPUT_PADDING, 0);
    let mut tape = scratch.tape();
    simd_json::fill_tape_padded(copy.into_bump_slice_mut(), text.len(), &mut scratch.buffers, &mut tape)
        .map_err(|error| Malformed::form(format!("it is not JSON: {error}")))?;
    if tape.0.len() > NODES_MAX {
        return Err(Malformed::new(RejectCause::TooDeep, format!("it has {} parts; the limit is {NODES_MAX}", tape.0.len())));
    }
    let nodes: &'a Nodes<'a> = arena.alloc_slice_copy(&tape.0);
    scratch.reuse(tape);
    match nodes.first() {
        Some(Node::Object { .. }) => Ok(nodes),
        _ => Err(Malformed::form("it is JSON, but not an object")),
    }
}

/// Refuses what nests deeper than `limit`, since the parser would not survive it.
///
/// Counting all brackets is cheap and settles nearly every record; only one with more brackets
/// than the limit is scanned with its strings in mind.
pub fn guard(bytes: &[u8], limit: usize) -> Result<(), Malformed> {
    // `[` and `{` differ in one bit; sums of a byte each, so that the compiler makes vector code of it.
    let open = |chunk: &[u8]| usize::from(chunk.iter().fold(0_u8, |sum, byte| sum + u8::from(byte | 0x20 == b'{')));
    if bytes.chunks(usize::from(u8::MAX)).map(open).sum::<usize>() <= limit {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return Err(Malformed::new(RejectCause::TooDeep, format!("it nests deeper than {limit}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_guarded_and_brackets_in_text_do_not_count() {
        assert!(guard(format!("{}1{}", "[".repeat(100), "]".repeat(100)).as_bytes(), 100).is_ok());
        assert_eq!(guard("[".repeat(101).as_bytes(), 100).unwrap_err().cause, RejectCause::TooDeep);
        assert!(guard(format!("[\"{}\\\"{}\"]", "[".repeat(500), "{".repeat(500)).as_bytes(), 100).is_ok());
    }
}
