//! One index: numbers in order, as the gaps between them.
//!
//! ```text
//! file = "WEFTOBS1" | length of form u8 | form | gaps, LEB128 | digest, 16 bytes of BLAKE3
//! ```
//! The upper 48 bits of each number are kept: five bytes a value, and of a hundred million pairs of an
//! indicator and a value one is taken for equal without being so, which costs reading a file for nothing.

const MAGIC: &[u8; 8] = b"WEFTOBS1";
const DIGEST: usize = 16;
/// Bits that are not kept.
const DROPPED: u32 = 16;

/// An index of numbers that are in order.
pub(super) fn write(numbers: &[u64], form: &str) -> Vec<u8> {
    let form = form.as_bytes().get(..form.len().min(255)).unwrap_or_default();
    let mut out = Vec::with_capacity(numbers.len() * 5 + 64);
    out.extend_from_slice(MAGIC);
    out.push(u8::try_from(form.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(form);
    let mut last = None;
    for number in numbers.iter().map(|number| number >> DROPPED) {
        // The first stands for itself; one that is equal in what is kept is there already.
        let gap = match last {
            Some(last) if last == number => continue,
            Some(last) => number.saturating_sub(last),
            None => number,
        };
        last = Some(number);
        leb(&mut out, gap);
    }
    let digest = blake3::hash(&out);
    out.extend_from_slice(digest.as_bytes().get(..DIGEST).unwrap_or_default());
    out
}

fn leb(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Whether it is of this form, without a look at whether it is whole.
pub(super) fn is_of(bytes: &[u8], form: &str) -> bool {
    body(bytes, form).is_some()
}

fn body<'b>(bytes: &'b [u8], form: &str) -> Option<&'b [u8]> {
    let (kept, _) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    let rest = kept.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first()?;
    let (own, gaps) = rest.split_at_checked(usize::from(*length))?;
    (own == form.as_bytes()).then_some(gaps)
}

/// The numbers of an index, as far as they are kept; none when it is damaged or of another form.
pub(super) fn open<'b>(bytes: &'b [u8], form: &str) -> Option<impl Iterator<Item = u64> + 'b> {
    let gaps = body(bytes, form)?;
    let (kept, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    if blake3::hash(kept).as_bytes().get(..DIGEST)? != digest {
        return None;
    }
    let (mut rest, mut sum) = (gaps, 0_u64);
    Some(std::iter::from_fn(move || {
        let mut gap = 0;
        for shift in (0..64).step_by(7) {
            let (byte, after) = rest.split_first()?;
            rest = after;
            gap |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                sum = sum.wrapping_add(gap);
                return Some(sum << DROPPED);
            }
        }
        None
    }))
}

/// Whether two rows of numbers in order have one in common, in what is kept of them.
pub(super) fn meets(numbers: impl Iterator<Item = u64>, wanted: &[u64]) -> bool {
    let mut rest = wanted;
    for number in numbers.map(|number| number >> DROPPED) {
        while let Some((first, after)) = rest.split_first()
            && first >> DROPPED < number
        {
            rest = after;
        }
        match rest.first() {
            None => return false,
            Some(first) if first >> DROPPED == number => return true,
            Some(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_written_is_read(numbers in prop::collection::btree_set(any::<u64>(), 0..300), wanted in prop::collection::btree_set(any::<u64>(), 0..20)) {
            let sorted: Vec<u64> = numbers.iter().copied().collect();
            let bytes = write(&sorted, "f");
            let read: Vec<u64> = open(&bytes, "f").unwrap().collect();
            let kept: BTreeSet<u64> = numbers.iter().map(|number| number >> DROPPED << DROPPED).collect();
            prop_assert_eq!(read, kept.iter().copied().collect::<Vec<_>>());
            prop_assert!(open(&bytes, "g").is_none());
            for one in &sorted {
                prop_assert!(meets(open(&bytes, "f").unwrap(), &[*one]));
            }
            let wanted: Vec<u64> = wanted.into_iter().collect();
            let common = wanted.iter().any(|one| kept.contains(&(one >> DROPPED << DROPPED)));
            prop_assert_eq!(meets(open(&bytes, "f").unwrap(), &wanted), common);
        }

        #[test]
        fn damage_is_found(at in 0_usize..200, bit in 0_u32..8) {
            let numbers: Vec<u64> = (1..50).map(|n| n << 40).collect();
            let mut bytes = write(&numbers, "f");
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(open(&bytes, "f").is_none());
            prop_assert!(open(&bytes[..at], "f").is_none());
        }
    }
}
