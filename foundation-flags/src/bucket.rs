//! In which bucket of a flag an id lies.

/// The id's bucket for this seed, 0 to 9,999.
#[inline]
pub(crate) fn bucket(seed: u64, id: &str) -> u16 {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(id.as_bytes(), seed);
    ((u128::from(hash) * 10_000) >> 64) as u16
}
