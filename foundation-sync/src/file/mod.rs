//! A file that is replaced as a whole, and durably.
//!
//! [`replace`] writes the new content beside the file (`.NAME.foundation-new`), synchronises it, renames it into the place
//! of the old one, and synchronises the directory. Such names are its own: what stands there is a crash's left-over, and is
//! removed. Of a name that would be longer than 143 bytes with that, a hash stands for the name. What it promises:
//! - after a cut at any moment, of the process or of the power, the file is the old one or the new one;
//! - after an error the file is the old one, and nothing is left beside it if that can be removed; after the one error that
//!   comes too late for that, [`ReplaceError::is_replaced`] says so;
//! - what a crash left beside the file is overwritten, so there is never more than one;
//! - of several who replace one file at once, each writes whole, or is told [`Why::Busy`];
//! - the permissions of a file that is replaced stay, and on Unix its owner and group as far as the system allows it: if it
//!   does not allow the owner, the group alone stays, and the permission to run as the owner goes; if not even that, the
//!   group's permissions go, too, for they would be another group's. A new file gets what any new file gets;
//! - a symbolic link stays: what it points at is replaced.
//!
//! What it does not: hard links to the old file keep the old content; extended attributes and access lists are not taken
//! over. Only a plain file is replaced, never a device or a pipe. The directory has to be readable and writable. On
//! systems where a directory can't be opened (Windows) it is not synchronised, so a cut of the power may bring the old
//! file back. On a filesystem without locks two writers may be in each other's way.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("settings");
//! use foundation_sync::file;
//!
//! file::replace(&path, |out| out.write_all(b"volume = 11\n"))?;
//! assert_eq!(std::fs::read(&path)?, b"volume = 11\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Protocol
//! The place beside is made by a create that fails if something is there, then locked with the operating system's lock,
//! which ends with the process; then its identity is looked at. Only who holds the lock of what stands there renames or
//! removes it; and who has made it, and finds that it can't be locked, takes it away.
//!
//! Named races:
//! - *two writers*: the second finds the place taken and its lock held, and is told so.
//! - *left-over*: the place is taken and its lock is free: its writer has crashed, and whoever gets the lock removes it.
//! - *lock against rename*: between the create, or the open, and the lock the file was renamed or removed by somebody
//!   else: what is locked is not what stands there any more, and it is left alone. Otherwise the new file itself might be
//!   written into.

mod error;
mod place;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
#[cfg(feature = "watch")]
mod watch;
#[cfg(all(test, feature = "watch", target_os = "linux", not(any(loom, shuttle))))]
mod watch_tests;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

pub use error::{ReplaceError, Why};
use place::{Beside, Place};
#[cfg(feature = "watch")]
pub use watch::Watch;

/// What has just been done: a test looks at what a cut would leave here, or lets it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[non_exhaustive]
pub enum Step {
    /// Something is opened beside, new or left over, and not locked yet.
    Opened,
    /// The place beside is made, and nobody else's.
    Created,
    /// The new content is written there.
    Written,
    /// The new content is on the disk.
    Synchronised,
    /// It stands in the place of the old one.
    Renamed,
    /// The directory is on the disk.
    DirectorySynchronised,
}

/// Replaces the file, or makes it, with what `write` writes; its writes are buffered.
///
/// # Errors
/// The place beside can't be made, written, synchronised or renamed, or `write` failed: the file is as it was. Only if
/// [`ReplaceError::is_replaced`] the new file stands there, and it is not known whether it survives a cut of the power.
pub fn replace<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T, ReplaceError> {
    by_steps(path.as_ref(), write, &mut |_| Ok(()), &mut File::sync_all)
}

/// [`replace`], which tells each step when it was done: so that a test of whoever keeps a file can look at what a cut would
/// leave at each of them, or let it fail.
///
/// # Errors
/// As for [`replace`]; one of `done` is taken for one of the step that it was told of.
pub fn replace_by_steps<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    mut done: impl FnMut(Step) -> io::Result<()>,
) -> Result<T, ReplaceError> {
    by_steps(path.as_ref(), write, &mut done, &mut File::sync_all)
}

/// Brings a file to the disk, or a directory: a test looks at which.
type Synchronise<'a> = &'a mut dyn FnMut(&File) -> io::Result<()>;

fn by_steps<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    done: &mut dyn FnMut(Step) -> io::Result<()>,
    synchronise: Synchronise<'_>,
) -> Result<T, ReplaceError> {
    let place = Place::find(path)?;
    // Opened before anything is changed: a directory that can't be is an error while there is nothing to undo.
    let directory = place.open_directory()?;
    let beside = Beside::make(&place, done)?;
    let failed = |why| place.failed(why);
    done(Step::Created).map_err(failed(Why::Create))?;
    let mut out = BufWriter::with_capacity(1 << 16, &beside.file);
    let written = write(&mut out).and_then(|written| out.flush().map(|()| written)).map_err(failed(Why::Write))?;
    // What is still in it was flushed: dropped, it has nothing to write.
    drop(out);
    // Only now: a write takes some permissions away again.
    done(Step::Written).and_then(|()| beside.take_over()).map_err(failed(Why::Write))?;
    synchronise(&beside.file).and_then(|()| done(Step::Synchronised)).map_err(failed(Why::Synchronise))?;
    fs::rename(&place.beside, &place.file).map_err(failed(Why::Rename))?;
    beside.renamed();
    let synchronised = done(Step::Renamed).and_then(|()| directory.synchronise(synchronise));
    synchronised
        .and_then(|()| done(Step::DirectorySynchronised))
        .map_err(|error| ReplaceError::new(&place.file, Why::SynchroniseDirectory, &place.directory, error))?;
    Ok(written)
}
