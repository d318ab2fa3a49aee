//! What was counted, file by file, and what it adds up to.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, path::Path, path::PathBuf, sync::Arc};

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use crate::count::Counts;

/// All files of one pass.
#[derive(Debug, Default)]
pub struct Tally {
    /// By path below the root.
    pub files: BTreeMap<Arc<Path>, Counts>,
    /// What could not be read, and why.
    pub unreadable: BTreeMap<PathBuf, String>,
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
    /// What it adds up to.
    pub fn totals(&self) -> Totals {
        let mut digest = Xxh3::new();
        let mut totals = Totals { files: 0, bytes: 0, lines: 0, words: 0, digest: String::new() };
        // By the bytes of the whole path, not component by component.
        let mut files: Vec<_> = self.files.iter().map(|(path, counts)| (path.as_os_str().as_bytes(), counts)).collect();
        files.sort_unstable_by_key(|(path, _)| *path);
        for (path, counts) in files {
            totals.files += 1;
            totals.bytes += counts.bytes;
            totals.lines += counts.lines;
            totals.words += counts.words;
            digest.update(&(path.len() as u64).to_le_bytes());
            digest.update(path);
            digest.update(&counts.bytes.to_le_bytes());
            digest.update(&counts.hash.to_le_bytes());
        }
        totals.digest = format!("{:032x}", digest.digest128());
        totals
    }

    /// The files of which the two passes say different things, each with what happened to it.
    pub fn differences(&self, other: &Self) -> Vec<(PathBuf, &'static str)> {
        let mut found = Vec::new();
        for (path, counts) in &self.files {
            match other.files.get(path) {
                None => found.push((path.to_path_buf(), "only counted by the pipeline")),
                Some(theirs) if theirs != counts => found.push((path.to_path_buf(), "changed between the two passes")),
                Some(_) => {}
            }
        }
        let missing = other.files.keys().filter(|path| !self.files.contains_key(*path));
        found.extend(missing.map(|path| (path.to_path_buf(), "only counted by the plain loop")));
        found
    }
}
