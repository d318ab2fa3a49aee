//! Which files there are: the same for the pipeline and for the plain loop.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Root {
    /// The directory.
    pub path: PathBuf,
    /// Whether `target` and `.git` directly below it are left out.
    pub without_build: bool,
}

/// What the walk comes across.
#[derive(Debug)]
pub enum Found {
    /// A directory: nothing to count, but a place to look whether to go on.
    Directory,
    /// A regular file, by its path below the root.
    File(PathBuf),
    /// Something that could not be looked at, and why.
    Unreadable(PathBuf, String),
}

/// All regular files below the root, hidden ones too. Symbolic links are not followed.
pub fn walk(root: &Root) -> impl Iterator<Item = Found> + use<> {
    let base = root.path.clone();
    let without_build = root.without_build;
    let entries = WalkDir::new(&root.path).into_iter().filter_entry(move |entry| {
        let left_out = without_build && entry.depth() == 1;
        !(left_out && (entry.file_name() == "target" || entry.file_name() == ".git"))
    });
    entries.filter_map(move |entry| {
        let below = |path: &Path| path.strip_prefix(&base).unwrap_or(path).to_owned();
        match entry {
            Ok(entry) if entry.file_type().is_dir() => Some(Found::Directory),
            Ok(entry) => entry.file_type().is_file().then(|| Found::File(below(entry.path()))),
            Err(error) => {
                let path = error.path().map(below).unwrap_or_default();
                let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                Some(Found::Unreadable(path, why))
            }
        }
    })
}
