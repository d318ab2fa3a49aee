//! Why a file was not replaced.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why a file was not replaced.
#[derive(Debug)]
pub struct ReplaceError {
    path: PathBuf,
    why: Why,
    /// What it was about: the place beside, the directory.
    at: PathBuf,
    error: io::Error,
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// What stands there is no plain file, or the path names none.
    NoFile,
    /// What stands there can't be looked at.
    Look,
    /// The directory can't be opened.
    OpenDirectory,
    /// The place beside can't be made.
    Create,
    /// Somebody else is replacing the file now.
    Busy,
    /// The new content could not be written, or who makes it failed.
    Write,
    /// The new content could not be brought to the disk.
    Synchronise,
    /// The new file could not be put in the place of the old one.
    Rename,
    /// The new file stands there, but the directory could not be brought to the disk.
    SynchroniseDirectory,
}

impl ReplaceError {
    pub(super) fn new(path: &Path, why: Why, at: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), why, at: at.to_owned(), error }
    }

    /// The file that was to be replaced.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What could not be done.
    pub fn why(&self) -> Why {
        self.why
    }

    /// What the operating system said, or who made the content.
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// Whether the new file stands there all the same; only a cut of the power might bring the old one back.
    pub fn is_replaced(&self) -> bool {
        self.why == Why::SynchroniseDirectory
    }
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why, at, error } = self;
        let (path, at) = (path.display(), at.display());
        match why {
            Why::NoFile => write!(f, "`{at}` is no plain file ({error}): give the path of one, or of none yet"),
            Why::Look => write!(
                f,
                "`{at}` can't be looked at ({error}): all before its name has to be directories that may be searched; \
                 nothing was changed"
            ),
            Why::OpenDirectory => {
                write!(
                    f,
                    "the directory `{at}` can't be opened ({error}): it has to be there, and readable; `{path}` is as it was"
                )
            }
            Why::Create => {
                write!(
                    f,
                    "`{at}` can't be made ({error}): its directory has to be writable, and its place free; `{path}` is as it was"
                )
            }
            Why::Busy => {
                write!(f, "somebody else writes `{at}` now: try again when they are done; `{path}` is as it was")
            }
            Why::Write => write!(f, "`{at}` can't be written ({error}); `{path}` is as it was"),
            Why::Synchronise => write!(f, "`{at}` can't be synchronised ({error}); `{path}` is as it was"),
            Why::Rename => write!(f, "`{at}` can't be put in its place ({error}); `{path}` is as it was"),
            Why::SynchroniseDirectory => write!(
                f,
                "`{path}` is replaced, but its directory `{at}` can't be synchronised ({error}): after a cut of the power it \
                 may be the old one again; write it once more"
            ),
        }
    }
}

impl std::error::Error for ReplaceError {}

/// With the kind of what the operating system said.
impl From<ReplaceError> for io::Error {
    fn from(error: ReplaceError) -> Self {
        Self::new(error.error.kind(), error)
    }
}
