//! A seal inside a Parquet file: digests of its blocks and enough redundancy to mend it.
//!
//! ```text
//! file  = body | seal | footer
//! seal  = copy of the footer | parity, one block a group | digests, 16 bytes a block
//! footer = Parquet metadata | its length u32 | "PAR1"
//! ```
//! All offsets of Parquet count from the start of the file and point into the body, so what stands
//! between body and footer is invisible to every reader of Parquet. Block `i` belongs to group
//! `i mod groups` and a group's parity is the XOR of its blocks: one damaged block a group, and any
//! run of damaged blocks as long as there are groups, is computed back. Whether that succeeded is
//! told by the digest of the whole file, which the table keeps.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Bytes of a block's digest: the first half of BLAKE3.
const DIGEST: usize = 16;
/// Smallest and largest block.
const BLOCK_MIN: u64 = 512;
const BLOCK_MAX: u64 = 16 << 10;
/// Blocks that share one parity block.
const GROUP_BLOCKS: u64 = 128;
/// What a Parquet file ends with.
const MAGIC: &[u8; 4] = b"PAR1";

/// Layout of a sealed file and the digest of what guards it; kept in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    body: u64,
    block: u64,
    /// BLAKE3 of digests and footer, from which everything else is checked.
    guard: String,
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1:{}:{}:{}", self.body, self.block, self.guard)
    }
}

impl FromStr for Seal {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let (Some("1"), Some(body), Some(block), Some(guard), None) = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(());
        };
        let (body, block) = (body.parse().map_err(drop)?, block.parse().map_err(drop)?);
        let fits = (BLOCK_MIN..=BLOCK_MAX).contains(&block) && guard.len() == 64;
        fits.then(|| Self { body, block, guard: guard.to_owned() }).ok_or(())
    }
}

/// A file with its seal.
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) seal: Option<Seal>,
    /// BLAKE3 of all bytes.
    pub(crate) digest: String,
}

/// Seals an encoded file; one that does not end like Parquet stays as it is.
pub(crate) fn seal(parquet: Vec<u8>) -> Sealed {
    match try_seal(&parquet) {
        Some((bytes, seal)) => Sealed { digest: hex(&bytes), bytes, seal: Some(seal) },
        None => Sealed { digest: hex(&parquet), bytes: parquet, seal: None },
    }
}

fn try_seal(parquet: &[u8]) -> Option<(Vec<u8>, Seal)> {
    let (rest, magic) = parquet.split_last_chunk::<4>()?;
    let (rest, length) = rest.split_last_chunk::<4>()?;
    let body = rest.len().checked_sub(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    if magic != MAGIC || body == 0 {
        return None;
    }
    let (body, footer) = parquet.split_at_checked(body)?;
    let length = body.len() as u64;
    let block = (length / GROUP_BLOCKS).next_power_of_two().clamp(BLOCK_MIN, BLOCK_MAX);
    let mut seal = Seal { body: length, block, guard: String::new() };
    let bytes = seal.assemble(body, footer);
    seal.guard = hex(bytes.get(seal.index(bytes.len() as u64)?)?);
    Some((bytes, seal))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn short(bytes: &[u8]) -> [u8; DIGEST] {
    let mut digest = [0; DIGEST];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut digest);
    digest
}

impl Seal {
    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        usize::try_from(self.body.div_ceil(self.block)).unwrap_or(0)
    }

    fn groups(&self) -> usize {
        usize::try_from(self.body.div_ceil(self.block).div_ceil(GROUP_BLOCKS)).unwrap_or(1).max(1)
    }

    /// Where a block's bytes are.
    pub(crate) fn block(&self, number: usize) -> Range<u64> {
        let start = (number as u64).saturating_mul(self.block);
        start..start.saturating_add(self.block).min(self.body)
    }

    /// The blocks that hold any of these bytes of the body.
    pub(crate) fn touched(&self, bytes: &Range<u64>) -> Range<usize> {
        let end = bytes.end.min(self.body);
        if bytes.start >= end {
            return 0..0;
        }
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        place(bytes.start / self.block)..place(end.div_ceil(self.block))
    }

    /// Length of the footer in a sealed file of this size.
    fn footer(&self, size: u64) -> Option<u64> {
        if self.body > size {
            return None;
        }
        let fixed = self.body + self.groups() as u64 * self.block + (self.blocks() * DIGEST) as u64;
        size.checked_sub(fixed).map(|twice| twice / 2)
    }

    /// Where digests and footer are, in a file of this size.
    pub(crate) fn index(&self, size: u64) -> Option<Range<usize>> {
        let start = size.checked_sub(self.footer(size)?)?.checked_sub((self.blocks() * DIGEST) as u64)?;
        (start >= self.body).then_some(usize::try_from(start).ok()?..usize::try_from(size).ok()?)
    }

    /// The digests, when `index` is what was sealed.
    pub(crate) fn digests<'a>(&self, index: &'a [u8]) -> Option<&'a [u8]> {
        (hex(index) == self.guard).then(|| index.get(..self.blocks() * DIGEST))?
    }

    /// Whether a block's bytes are what was sealed.
    pub(crate) fn is_whole(&self, digests: &[u8], number: usize, bytes: &[u8]) -> bool {
        digests.get(number * DIGEST..(number + 1) * DIGEST).is_some_and(|known| known == short(bytes))
    }

    /// Blocks of a whole file that are not what was sealed; none when the digests themselves are gone.
    pub(crate) fn damaged(&self, file: &[u8]) -> Option<Vec<usize>> {
        let digests = self.digests(file.get(self.index(file.len() as u64)?)?)?;
        Some(self.wrong(file, digests))
    }

    fn wrong(&self, file: &[u8], digests: &[u8]) -> Vec<usize> {
        (0..self.blocks()).filter(|number| !self.bytes_of(file, *number).is_some_and(|bytes| self.is_whole(digests, *number, bytes))).collect()
    }

    fn bytes_of<'a>(&self, file: &'a [u8], number: usize) -> Option<&'a [u8]> {
        let range = self.block(number);
        file.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }

    fn assemble(&self, body: &[u8], footer: &[u8]) -> Vec<u8> {
        let block = usize::try_from(self.block).unwrap_or(usize::MAX);
        let mut parity = vec![0_u8; self.groups() * block];
        let mut digests = Vec::with_capacity(self.blocks() * DIGEST);
        for (number, bytes) in body.chunks(block).enumerate() {
            digests.extend_from_slice(&short(bytes));
            if let Some(sum) = parity.chunks_mut(block).nth(number % self.groups()) {
                xor(sum, bytes);
            }
        }
        [body, footer, &parity, &digests, footer].concat()
    }

    /// The file as it was sealed, when what is left of it is enough. `digest` is that of the whole.
    pub(crate) fn mend(&self, file: &[u8], size: u64, digest: &str) -> Option<Vec<u8>> {
        let mut whole = file.to_vec();
        whole.resize(usize::try_from(size).ok()?, 0);
        let footer = usize::try_from(self.footer(size)?).ok()?;
        let body = usize::try_from(self.body).ok()?;
        let footers = [whole.get(whole.len().checked_sub(footer)?..)?, whole.get(body..body + footer)?];
        let index = self.index(size)?;
        let digests = whole.get(index.start..index.start + self.blocks() * DIGEST)?;
        let candidates = [Some(whole.get(..body)?.to_vec()), self.mend_body(&whole, digests, body + footer)];
        for body in candidates.iter().flatten() {
            for footer in footers {
                let assembled = self.assemble(body, footer);
                if hex(&assembled) == digest {
                    return Some(assembled);
                }
            }
        }
        None
    }

    /// Both copies of the Parquet metadata, the one at the end first.
    pub(crate) fn footers<'a>(&self, file: &'a [u8]) -> Vec<&'a [u8]> {
        let parts = || {
            let footer = usize::try_from(self.footer(file.len() as u64)?).ok()?;
            let body = usize::try_from(self.body).ok()?;
            Some([file.get(file.len().checked_sub(footer)?..)?, file.get(body..body + footer)?])
        };
        // Without length and magic behind it.
        parts().into_iter().flatten().filter_map(|footer| footer.get(..footer.len().checked_sub(8)?)).collect()
    }

    /// The body with one wrong block of each group computed from the others.
    fn mend_body(&self, file: &[u8], digests: &[u8], parity: usize) -> Option<Vec<u8>> {
        let block = usize::try_from(self.block).ok()?;
        let mut body = file.get(..usize::try_from(self.body).ok()?)?.to_vec();
        for number in self.wrong(file, digests) {
            let group = number % self.groups();
            let mut sum = file.get(parity + group * block..parity + (group + 1) * block)?.to_vec();
            let others = (group..self.blocks()).step_by(self.groups()).filter(|other| *other != number);
            for bytes in others.filter_map(|other| self.bytes_of(file, other)) {
                xor(&mut sum, bytes);
            }
            let range = self.block(number);
            let place = body.get_mut(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)?;
            place.copy_from_slice(sum.get(..place.len())?);
        }
        Some(body)
    }
}

fn xor(sum: &mut [u8], bytes: &[u8]) {
    sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ends like Parquet, which is all that a seal looks at.
    fn parquet(body: usize, footer: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..body + footer).map(|n| (n * 31 + n / 251) as u8).collect();
        bytes.extend_from_slice(&u32::try_from(footer).unwrap().to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    #[test]
    fn any_single_byte_is_found_and_mended() {
        let sealed = seal(parquet(3000, 200));
        let seal = sealed.seal.unwrap();
        assert_eq!(seal.to_string().parse(), Ok(seal.clone()));
        for at in 0..sealed.bytes.len() {
            let mut flipped = sealed.bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert_ne!(hex(&flipped), sealed.digest);
            assert!(seal.mend(&flipped, flipped.len() as u64, &sealed.digest).as_ref() == Some(&sealed.bytes), "byte {at}");
        }
    }

    #[test]
    fn what_is_beyond_the_redundancy_is_not_pretended() {
        let sealed = seal(parquet(3000, 200));
        let seal = sealed.seal.unwrap();
        let mut wrong = sealed.bytes.clone();
        wrong[10] ^= 1;
        wrong[1000] ^= 1;
        assert_eq!(seal.damaged(&wrong), Some(vec![0, 1]));
        assert_eq!(seal.mend(&wrong, wrong.len() as u64, &sealed.digest), None);
    }

    #[test]
    fn a_file_that_is_no_parquet_is_left_alone() {
        let sealed = seal(b"text".to_vec());
        assert!(sealed.seal.is_none() && sealed.bytes == b"text");
        for text in ["", "1:2", "2:1:512:x", "1:1:7:0", "1:x:512:0"] {
            assert_eq!(text.parse::<Seal>(), Err(()), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_run_of_damage_as_long_as_there_are_groups_is_mended(body in 70_000_usize..300_000, at in 0.0..1.0_f64, wiped in any::<bool>()) {
            let sealed = seal(parquet(body, 321));
            let seal = sealed.seal.unwrap();
            let length = (seal.groups() - 1) * seal.block as usize + 1;
            let at = (at * (body - length) as f64) as usize / seal.block as usize * seal.block as usize;
            let mut wrong = sealed.bytes.clone();
            wrong[at..at + length].iter_mut().for_each(|byte| *byte = if wiped { 0 } else { !*byte });
            prop_assert_eq!(seal.mend(&wrong, wrong.len() as u64, &sealed.digest), Some(sealed.bytes));
        }

        #[test]
        fn hostile_files_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), body in 0_u64..5000, size in 0_u64..5000) {
            let seal = Seal { body, block: 512, guard: "0".repeat(64) };
            let _damaged = seal.damaged(&bytes);
            prop_assert_eq!(seal.mend(&bytes, size, "x"), None);
        }
    }
}
