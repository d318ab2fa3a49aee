//! What is wrong with a backup.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use foundation_sync::file::ReplaceError;

use super::{LONGEST_LINE, VERSION};

/// Why a backup was not written, or not read.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackupError {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1, if it is about one.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a backup.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// It could not be written; or it was, but a cut of the power may undo it: see [`ReplaceError::is_replaced`].
    Write(ReplaceError),
    /// A record's line would be too long. Nothing was written.
    TooLong {
        /// Whose.
        name: String,
        /// How long it would be.
        bytes: usize,
    },
    /// A field says something of a kind that this version of the format does not have. Nothing was written.
    NoSuchKind {
        /// Whose.
        name: String,
        /// Which field.
        field: String,
    },
    /// It could not be read.
    Read(io::Error),
    /// It is a directory or a device.
    NoFile,
    /// It does not begin as a backup does.
    NotABackup {
        /// How it begins instead.
        found: String,
    },
    /// It was written by a newer program.
    Newer {
        /// In this version of the format.
        version: u64,
    },
    /// A line is not as it was written.
    Damaged {
        /// What was expected, and what was found.
        what: String,
    },
    /// It ends before its end.
    Cut {
        /// The whole records that it still has.
        records: u64,
    },
    /// The last line counts other records than there are.
    Miscounted {
        /// How many there are.
        found: u64,
        /// How many there were.
        expected: u64,
    },
    /// What stands before the last line is not what was written.
    Checksum {
        /// Of what stands there.
        found: u32,
        /// Of what was written.
        expected: u32,
    },
    /// Something follows the last line.
    More,
    /// Somebody wrote into it after it was checked.
    Changed {
        /// The records that had been given until then, all as they were written.
        records: u64,
    },
}

impl BackupError {
    pub(super) fn new(path: &Path, line: Option<u64>, problem: Problem) -> Self {
        Self { path: path.to_owned(), line, problem }
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

const DAMAGED: &str = "it was changed or damaged after it was written: take another copy";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) if error.is_replaced() => error.fmt(f),
            Self::Write(error) => write!(f, "it was not written: {error}"),
            Self::TooLong { name, bytes } => write!(
                f,
                "nothing was written: the record of `{}` takes {bytes} bytes, and may take {LONGEST_LINE}: make a shorter \
                 text of its value",
                shown(name)
            ),
            Self::NoSuchKind { name, field } => write!(
                f,
                "nothing was written: the field `{}` of `{}` says something of a kind that version {VERSION} does not \
                 have: leave it out",
                shown(field),
                shown(name)
            ),
            Self::Read(error) => write!(f, "it can't be read: {error}"),
            Self::NoFile => write!(f, "it is no plain file: give the path of a backup"),
            Self::NotABackup { found } if found.is_empty() => {
                write!(f, "it is empty, and no backup: give the path of one")
            }
            Self::NotABackup { found } => {
                write!(f, "it begins with `{found}`, as no backup does: give the path of one")
            }
            Self::Newer { version } => write!(
                f,
                "it is of version {version}, and this program reads version {VERSION}: use the program that wrote it, or a \
                 newer one"
            ),
            Self::Damaged { what } => write!(f, "{what}; {DAMAGED}"),
            Self::Cut { records } => {
                write!(
                    f,
                    "it ends here, after {records} whole records, without its last line; it was cut: take another copy"
                )
            }
            Self::Miscounted { found, expected } => {
                write!(f, "there are {found} records, and were {expected}; {DAMAGED}")
            }
            Self::Checksum { found, expected } => {
                write!(f, "what stands before has the checksum {found:08x}, and had {expected:08x}; {DAMAGED}")
            }
            Self::More => write!(f, "something follows the last line; {DAMAGED}"),
            Self::Changed { records } => write!(
                f,
                "somebody wrote into it while it was read, after {records} records were taken from it as they were \
                 written: take another copy for the rest"
            ),
        }
    }
}

impl std::error::Error for BackupError {}

/// Its beginning, on one line.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push_str("..");
    }
    shown
}
