//! What was counted, file by file, and what it adds up to.

use std::{
    cmp::Ordering,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use crate::count::Counts;

/// All files of one pass.
#[derive(Debug, Default)]
pub struct Tally {
    /// Paths below the root, in the order in which they were counted until the tally is [sorted](Self::sort).
    pub files: Vec<(Arc<Path>, Counts)>,
    /// What could not be read, and why.
    ///
    /// A place may come twice: not every error of a walk says where it was.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// What a pass adds up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Line feeds.
    pub lines: u64,
    /// Words.
    pub words: u64,
    /// XXH3, 128 bits, over (length of the path, path, length, content hash) of all files, by path; hexadecimal.
    pub digest: String,
}

impl Tally {
    /// Sorts the files by the bytes of their paths, and what could not be read.
    pub fn sort(&mut self) {
        self.files.sort_unstable_by(|(a, _), (b, _)| bytes(a).cmp(bytes(b)));
        self.unreadable.sort_unstable();
    }

    /// What it adds up to. The tally has to be sorted.
    pub fn totals(&self) -> Totals {
        let mut digest = Xxh3::new();
        let mut totals = Totals { files: 0, bytes: 0, lines: 0, words: 0, digest: String::new() };
        for (path, counts) in &self.files {
            totals.files += 1;
            totals.bytes += counts.bytes;
            totals.lines += counts.lines;
            totals.words += counts.words;
            let path = bytes(path);
            digest.update(&(path.len() as u64).to_le_bytes());
            digest.update(path);
            digest.update(&counts.bytes.to_le_bytes());
            digest.update(&counts.hash.to_le_bytes());
        }
        totals.digest = format!("{:032x}", digest.digest128());
        totals
    }

    /// The files of which two sorted passes say different things, each with what happened to it.
    pub fn differences(&self, other: &Self) -> Vec<(PathBuf, &'static str)> {
        let (mut ours, mut theirs) = (self.files.iter().peekable(), other.files.iter().peekable());
        let mut found = Vec::new();
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return found,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => bytes(a).cmp(bytes(b)),
            };
            let mine = if order.is_le() { ours.next() } else { None };
            let other = if order.is_ge() { theirs.next() } else { None };
            match (mine, other) {
                (Some((path, mine)), Some((_, other))) if mine != other => {
                    found.push((path.to_path_buf(), "changed between the two passes"));
                }
                (Some((path, _)), None) => found.push((path.to_path_buf(), "only counted by the pipeline")),
                (None, Some((path, _))) => found.push((path.to_path_buf(), "only counted by the plain loop")),
                _ => {}
            }
        }
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(files: &[(&str, u64)]) -> Tally {
        let entry =
            |(path, lines): &(&str, u64)| (Path::new(path).into(), Counts { lines: *lines, ..Counts::default() });
        let mut tally = Tally { files: files.iter().map(entry).collect(), ..Tally::default() };
        tally.sort();
        tally
    }

    #[test]
    fn two_passes_over_the_same_files_agree_in_any_order() {
        let (one, two) = (tally(&[("a/b", 1), ("a.b", 2), ("c", 3)]), tally(&[("c", 3), ("a.b", 2), ("a/b", 1)]));
        assert_eq!(one.totals(), two.totals());
        assert!(one.differences(&two).is_empty());
    }

    #[test]
    fn what_differs_is_named() {
        let (one, two) = (tally(&[("a", 1), ("b", 1), ("d", 1)]), tally(&[("b", 2), ("c", 1), ("d", 1)]));
        let differences = one.differences(&two);
        let named: Vec<_> = differences.iter().map(|(path, what)| (path.to_str(), *what)).collect();
        assert_eq!(
            named,
            [
                (Some("a"), "only counted by the pipeline"),
                (Some("b"), "changed between the two passes"),
                (Some("c"), "only counted by the plain loop"),
            ]
        );
        assert_ne!(one.totals().digest, two.totals().digest);
    }
}
