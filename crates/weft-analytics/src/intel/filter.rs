//! Whether a hash can be held at all: one cache line says no to nearly everything.

/// Bits a hash; with eight of them set in one block, about one in 200 others is let through.
const BITS_A_HASH: usize = 12;
/// Bits of a block.
const BLOCK_BITS: usize = 256;
/// Odd numbers that spread one half of the hash over the words of a block; those of Parquet's
/// split-block filter (<https://parquet.apache.org/docs/file-format/bloomfilter/>).
const SALTS: [u32; 8] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// A split-block Bloom filter.
#[derive(Debug, Default)]
pub(super) struct Filter(Vec<[u32; 8]>);

impl Filter {
    pub(super) fn of(count: usize, hashes: impl Iterator<Item = u128>) -> Self {
        let mut blocks = vec![[0_u32; 8]; (count * BITS_A_HASH).div_ceil(BLOCK_BITS)];
        let length = blocks.len();
        for hash in hashes {
            if let Some(block) = blocks.get_mut(place(hash, length)) {
                block.iter_mut().zip(mask(hash)).for_each(|(word, bit)| *word |= bit);
            }
        }
        Self(blocks)
    }

    pub(super) fn may_hold(&self, hash: u128) -> bool {
        self.0.get(place(hash, self.0.len())).is_some_and(|block| block.iter().zip(mask(hash)).all(|(word, bit)| word & bit != 0))
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len() * BLOCK_BITS / 8
    }
}

fn place(hash: u128, blocks: usize) -> usize {
    // The upper 32 bits as a fraction of the number of blocks.
    let upper = (hash >> 96) as u64;
    usize::try_from((upper * blocks as u64) >> 32).unwrap_or(0)
}

fn mask(hash: u128) -> [u32; 8] {
    let lower = (hash >> 64) as u32;
    SALTS.map(|salt| 1 << (lower.wrapping_mul(salt) >> 27))
}
