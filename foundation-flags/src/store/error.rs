//! What is wrong with the file, and where.

use std::{fmt, sync::Arc};

/// What is wrong with the file, where, and what would be right: `flags.toml:12:3: unknown flag `a`, did you mean `b`?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    path: Arc<str>,
    place: Option<(usize, usize)>,
    problem: Arc<str>,
}

impl FileError {
    #[cfg(feature = "file")]
    pub(super) fn new(path: &std::path::Path, place: Option<(usize, usize)>, problem: &str) -> Self {
        Self { path: path.display().to_string().into(), place, problem: problem.into() }
    }

    /// The file, as it was given to the [builder](crate::Builder).
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The line and the column, from 1 on, columns in characters; `None` where it is not about a place in the text.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// What is wrong, and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, problem, .. } = self;
        match self.place {
            Some((line, column)) => write!(f, "{path}:{line}:{column}: {problem}"),
            None => write!(f, "{path}: {problem}"),
        }
    }
}

impl std::error::Error for FileError {}
