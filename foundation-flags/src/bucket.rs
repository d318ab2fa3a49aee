//! In which of 10,000 buckets an id is: `docs/bucketing.md` tells the same to whoever computes it elsewhere.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The bucket, 0 to 9,999, of this id under this seed, which is the hash of a flag's salt.
///
/// The upper end of a 128-bit product, not a remainder: each bucket is a range of hashes, and no bucket's is longer by more
/// than one. Whatever is on below a limit is on below a higher one.
#[inline(never)]
pub(crate) fn bucket(seed: u64, id: &str) -> u16 {
    let hash = xxh3_64_with_seed(id.as_bytes(), seed);
    ((u128::from(hash) * 10_000) >> 64) as u16
}
