//! What is counted: the same function for the pipeline and for the plain loop.

use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3;

/// How much is read at once.
pub const BLOCK: usize = 128 * 1024;

/// What one file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Its length.
    pub bytes: u64,
    /// Line feeds.
    pub lines: u64,
    /// Maximal runs of bytes other than space, tab, newline, vertical tab, form feed and carriage return.
    pub words: u64,
    /// XXH3, 128 bits, of its content.
    pub hash: u128,
}

/// Counts all that `source` has. `between` is asked after each block, with the bytes so far, whether to go on.
///
/// `None`: `between` said no.
///
/// # Errors
/// Those of reading.
pub fn count<E: From<io::Error>>(
    source: &mut impl Read,
    block: &mut [u8],
    mut between: impl FnMut(u64) -> Result<bool, E>,
) -> Result<Option<Counts>, E> {
    let mut counts = Counts::default();
    let mut hash = Xxh3::new();
    let mut last = b' ';
    loop {
        let read = match source.read(block) {
            Ok(0) => break,
            Ok(read) => &block[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        counts.bytes += read.len() as u64;
        hash.update(read);
        for part in read.chunks(256) {
            let (lines, words) = count_part(last, part);
            counts.lines += lines;
            counts.words += words;
            last = part[part.len() - 1];
        }
        if !between(counts.bytes)? {
            return Ok(None);
        }
    }
    counts.hash = hash.digest128();
    Ok(Some(counts))
}

/// Line feeds, and words that begin here, in at most 256 bytes: sums that fit the narrow lanes of vector instructions.
fn count_part(before: u8, part: &[u8]) -> (u64, u64) {
    let lines = part.iter().map(|byte| u16::from(*byte == b'\n')).sum::<u16>();
    let first = u16::from(is_space(before) && !is_space(part[0]));
    let inner = part.iter().zip(&part[1..]).map(|(before, byte)| u16::from(is_space(*before) & !is_space(*byte)));
    (lines.into(), (first + inner.sum::<u16>()).into())
}

/// Space, and 9 to 13: tab, newline, vertical tab, form feed, carriage return.
fn is_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(9) < 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes, lines, words.
    type Numbers = (u64, u64, u64);

    fn of(content: &[u8], block: usize) -> Numbers {
        let counted = count::<io::Error>(&mut &*content, &mut vec![0; block], |_| Ok(true));
        let counts = counted.expect("a slice can be read").expect("nobody said no");
        (counts.bytes, counts.lines, counts.words)
    }

    #[test]
    fn counts_are_those_of_wc_whatever_the_block() {
        let table: &[(&[u8], Numbers)] = &[
            (b"", (0, 0, 0)),
            (b"one", (3, 0, 1)),
            (b" \t\n\x0b\x0c\r", (6, 1, 0)),
            (b"two words\n", (10, 1, 2)),
            (b"\xff\xfe a\x00b \x80\n\n", (10, 2, 3)),
            (b"a b  c\x0bd\x0ce\rf", (12, 0, 6)),
            (b"\x0e\x08\x1f", (3, 0, 1)),
        ];
        for (content, expected) in table {
            for block in [1, 2, 3, 64] {
                assert_eq!(of(content, block), *expected, "{content:?} in blocks of {block}");
            }
        }
        let long = b"word ".repeat(1000);
        assert_eq!(of(&long, 777), (5000, 0, 1000));
    }

    #[test]
    fn the_hash_is_of_the_content_alone() {
        let hash = |block| {
            let counted = count::<io::Error>(&mut &b"some content"[..], &mut vec![0; block], |_| Ok(true));
            counted.expect("a slice can be read").expect("nobody said no").hash
        };
        assert_eq!(hash(1), hash(64));
        assert_eq!(hash(64), xxhash_rust::xxh3::xxh3_128(b"some content"));
    }
}
