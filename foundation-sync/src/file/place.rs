//! Where a file is, and the place beside it that its next content is written to.

use std::{
    cell::Cell,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{ReplaceError, Step, Synchronise, Why};

/// Links that point at links, followed at most.
pub(super) const MOST_LINKS: usize = 40;

/// How often the place beside is looked at again when others come and go.
const MOST_LOOKS: usize = 16;

const SUFFIX: &str = ".foundation-new";

/// In bytes. Most filesystems take 255; one that encrypts names, 143.
const LONGEST_NAME: usize = 143;

/// A file, there or not, behind all links.
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) directory: PathBuf,
    /// Always the same, so that a crash leaves no more than one.
    pub(super) beside: PathBuf,
    /// What is known of the file that is replaced.
    old: Option<Metadata>,
}

impl Place {
    pub(super) fn find(path: &Path) -> Result<Self, ReplaceError> {
        let no_file = |error: io::Error| ReplaceError::new(path, Why::NoFile, path, error);
        let mut file = path.to_owned();
        let mut links = 0;
        while let Ok(target) = fs::read_link(&file) {
            links += 1;
            if links > MOST_LINKS {
                return Err(no_file(io::Error::other("too many symbolic links")));
            }
            // An absolute one replaces all.
            file = file.parent().unwrap_or(Path::new("")).join(target);
        }
        let name = file.file_name();
        // `NAME/` and `NAME/.` have this name, too, and name a directory: found out when the new file is made, too late.
        if name.is_some_and(|name| !file.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes())) {
            return Err(no_file(io::Error::other("what ends so is the path of a directory")));
        }
        let old = match fs::symlink_metadata(&file) {
            Ok(old) if !old.is_file() => {
                let what = if old.is_dir() { "a directory" } else { "a device, a pipe or a socket" };
                return Err(no_file(io::Error::other(what)));
            }
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(ReplaceError::new(path, Why::Look, &file, error)),
        };
        let Some(name) = name else { return Err(no_file(io::Error::other("it names no file"))) };
        let name = name_beside(name);
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { directory: directory.to_owned(), beside: file.with_file_name(name), file, old })
    }

    pub(super) fn open_directory(&self) -> Result<Directory, ReplaceError> {
        Directory::open(&self.directory)
            .map_err(|error| ReplaceError::new(&self.file, Why::OpenDirectory, &self.directory, error))
    }

    pub(super) fn failed(&self, why: Why) -> impl Fn(io::Error) -> ReplaceError {
        move |error| ReplaceError::new(&self.file, why, &self.beside, error)
    }
}

/// A name that nobody else uses, and that is no longer than any filesystem takes.
pub(super) fn name_beside(name: &OsStr) -> OsString {
    let mut beside = OsString::from(".");
    let bytes = name.as_encoded_bytes();
    if 1 + bytes.len() + SUFFIX.len() <= LONGEST_NAME {
        beside.push(name);
    } else {
        // FNV-1a. It has to be the same in the next life of the program; two names that share it wait for each other.
        let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        beside.push(format!("{hash:016x}"));
    }
    beside.push(SUFFIX);
    beside
}

/// The place beside, locked, and removed when it is dropped unless it was renamed.
pub(super) struct Beside<'a> {
    pub(super) file: File,
    place: &'a Place,
    renamed: Cell<bool>,
}

impl<'a> Beside<'a> {
    pub(super) fn make(place: &'a Place, done: &mut dyn FnMut(Step) -> io::Result<()>) -> Result<Self, ReplaceError> {
        let busy = || place.failed(Why::Busy)(io::ErrorKind::WouldBlock.into());
        for _ in 0..MOST_LOOKS {
            let mut made = OpenOptions::new();
            made.write(true).create_new(true);
            if place.old.is_some() {
                // Nobody else may open it before it has the old one's permissions.
                platform::only_for_the_owner(&mut made);
            }
            match made.open(&place.beside) {
                Ok(file) => {
                    match done(Step::Opened).and_then(|()| locked(&file)) {
                        Ok(true) => {}
                        Ok(false) => return Err(busy()),
                        Err(error) => {
                            // There is no lock to be had. It is not left to those who come later, and may have one.
                            if platform::stands_there(&file, &place.beside).unwrap_or(false) {
                                _ = fs::remove_file(&place.beside);
                            }
                            return Err(place.failed(Why::Create)(error));
                        }
                    }
                    // Race: *lock against rename*.
                    if platform::stands_there(&file, &place.beside).map_err(place.failed(Why::Create))? {
                        return Ok(Self { file, place, renamed: Cell::new(false) });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !clear(&place.beside, done).map_err(place.failed(Why::Create))? {
                        return Err(busy());
                    }
                }
                Err(error) => return Err(place.failed(Why::Create)(error)),
            }
        }
        Err(busy())
    }

    /// Takes over what stays of the old file. Owner first: a change of it takes permissions away.
    pub(super) fn take_over(&self) -> io::Result<()> {
        let Some(old) = &self.place.old else { return Ok(()) };
        self.file.set_permissions(platform::take_over_owner(&self.file, old)?)
    }

    pub(super) fn renamed(&self) {
        self.renamed.set(true);
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.renamed.get() {
            // Still locked, so it is ours. If it can't be removed, the next writer meets it as a left-over.
            _ = fs::remove_file(&self.place.beside);
        }
    }
}

/// Removes a left-over. `false`: its writer lives.
fn clear(beside: &Path, done: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<bool> {
    let there = match fs::symlink_metadata(beside) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    if !there.is_file() {
        return Err(io::Error::other("something that is no plain file stands there: move it away"));
    }
    let opened = OpenOptions::new().write(true).open(beside).or_else(|_| File::open(beside));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    done(Step::Opened)?;
    // Race: *two writers*.
    if !locked(&file)? {
        return Ok(false);
    }
    // Race: *left-over*; but *lock against rename*: if it is another one by now it is looked at anew.
    if platform::stands_there(&file, beside)? {
        fs::remove_file(beside)?;
    }
    Ok(true)
}

/// Whether the file is locked now, by us; it is let through where there are no locks.
fn locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A directory that can be synchronised.
pub(super) struct Directory(Option<File>);

impl Directory {
    fn open(path: &Path) -> io::Result<Self> {
        // Elsewhere a directory can't be opened as a file is.
        Ok(Self(if cfg!(unix) { Some(File::open(path)?) } else { None }))
    }

    pub(super) fn synchronise(&self, synchronise: Synchronise<'_>) -> io::Result<()> {
        match self.0.as_ref().map(synchronise) {
            // Some filesystems have no such thing, and say so.
            Some(Err(error)) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
pub(super) mod platform {
    use std::{
        fs::{self, File, Metadata, OpenOptions, Permissions},
        io,
        os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
        path::Path,
    };

    const SET_USER: u32 = 0o4000;
    const SET_GROUP: u32 = 0o2000;
    const OF_THE_GROUP: u32 = 0o070;

    pub(super) fn only_for_the_owner(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// Whether this file is the one that stands there.
    pub(super) fn stands_there(file: &File, path: &Path) -> io::Result<bool> {
        let ours = file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The permissions that are right for it then.
    pub(super) fn take_over_owner(file: &File, old: &Metadata) -> io::Result<Permissions> {
        let new = file.metadata()?;
        let mode = if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
            old.mode()
        } else {
            give(old.mode(), (old.uid(), old.gid()), |owner, group| fchown(file, owner, group))?
        };
        Ok(Permissions::from_mode(mode & 0o7777))
    }

    /// Gives a file of this mode to this owner and group, as far as the system allows it. What the mode says of an owner
    /// or a group that it does not get is not said of another: the mode without that comes back.
    pub(in super::super) fn give(
        mode: u32,
        (owner, group): (u32, u32),
        mut change: impl FnMut(Option<u32>, Option<u32>) -> io::Result<()>,
    ) -> io::Result<u32> {
        let mut change = |owner, group| match change(owner, group) {
            Ok(()) => Ok(true),
            // Only the system's administrator may give a file away, and not to those whom a container doesn't know.
            Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => {
                Ok(false)
            }
            Err(error) => Err(error),
        };
        if change(Some(owner), Some(group))? {
            Ok(mode)
        } else if change(None, Some(group))? {
            Ok(mode & !SET_USER)
        } else {
            Ok(mode & !(SET_USER | SET_GROUP | OF_THE_GROUP))
        }
    }
}

#[cfg(not(unix))]
pub(super) mod platform {
    use std::{
        fs::{File, Metadata, OpenOptions, Permissions},
        io,
        path::Path,
    };

    pub(super) fn only_for_the_owner(_: &mut OpenOptions) {}

    /// There is no identity to look at; there, a file that is open can't be taken away either.
    pub(super) fn stands_there(_: &File, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    pub(super) fn take_over_owner(_: &File, old: &Metadata) -> io::Result<Permissions> {
        Ok(old.permissions())
    }
}
