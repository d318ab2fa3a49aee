//! To hear of it when somebody changes a file: from the operating system, nobody looks again and again.
//!
//! The directory is watched, and not the file: who replaces a file as a whole, as [`replace`](super::replace) does, leaves
//! another one there. Where a symbolic link stands in the file's place, and where that one points, and so on, each one's
//! directory is. A link among the directories before is followed once, and when it is made to point elsewhere nothing is
//! heard of.

use std::{io, path::Path};

use crate::Stop;

/// Hears of changes of a file. On Linux; elsewhere, and in models, there is none.
///
/// It has no thread: whoever wants to hear offers one to [`wait`](Self::wait) on.
#[derive(Debug)]
pub struct Watch(platform::Watch);

impl Watch {
    /// Changes are heard from now on. The file need not be there, its directory has to be. The file may be a symbolic link
    /// that is made to point elsewhere, also at a path with such links; but of the path that is given here the directories
    /// stay those that they are now: of `now/settings`, where `now` is a link, give what `now` points at, or link to it.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("settings");
    /// use foundation_sync::{Stop, file::Watch};
    ///
    /// let mut watch = Watch::new(&path)?;
    /// std::fs::write(&path, "volume = 11")?;
    /// assert!(watch.wait(&Stop::new())?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::Unsupported`] where it has no such thing.
    pub fn new(path: impl AsRef<Path>) -> io::Result<Self> {
        platform::Watch::new(path.as_ref()).map(Self)
    }

    /// Waits until somebody has written the file and closed it, or put another one in its place, or changed its
    /// permissions; `false`: it was told to stop. What happened between two waits is heard by the second. Of several
    /// changes that come together one or several are heard, and sometimes one that is none. It may be called again after
    /// it was told to stop, and after an error: then it hears of what happens from then on.
    ///
    /// # Errors
    /// The directory is gone, or what the operating system says. As long as it is gone, each call is told so.
    pub fn wait(&mut self, stop: &Stop) -> io::Result<bool> {
        self.0.wait(stop)
    }
}

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
mod platform {
    use std::{
        ffi::OsStr,
        fs, io,
        mem::MaybeUninit,
        os::{
            fd::{AsFd, OwnedFd},
            unix::ffi::OsStrExt,
        },
        path::{Path, PathBuf},
        sync::Arc,
    };

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

    use super::super::place::MOST_LINKS;
    use crate::{Mutex, Stop, Wake};

    #[derive(Debug)]
    pub(super) struct Watch {
        path: PathBuf,
        open: Arc<Open>,
    }

    /// Where events come from.
    #[derive(Debug)]
    struct Open {
        from: OwnedFd,
        /// The directories that are watched, by their number, and the name in each.
        places: Mutex<Vec<(i32, PathBuf)>>,
    }

    /// Wakes whoever waits by an event: no directory is watched any more.
    impl Wake for Open {
        fn wake(&self) {
            self.watch_nothing();
        }
    }

    impl Open {
        fn watch_nothing(&self) {
            let places = std::mem::take(&mut *self.places.lock());
            // One that is gone already has had its event.
            places.iter().for_each(|(number, _)| _ = inotify::remove_watch(&self.from, *number));
        }
    }

    impl Watch {
        pub(super) fn new(path: &Path) -> io::Result<Self> {
            let open = Open { from: inotify::init(CreateFlags::CLOEXEC)?, places: Mutex::default() };
            let watch = Self { path: path.to_owned(), open: Arc::new(open) };
            watch.look()?;
            Ok(watch)
        }

        /// Watches the directories in which the file and the links on the way to it are now.
        fn look(&self) -> io::Result<()> {
            let mut places = Vec::new();
            let mut file = self.path.clone();
            for _ in 0..=MOST_LINKS {
                let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let flags = WatchFlags::CLOSE_WRITE
                    | WatchFlags::MOVED_TO
                    | WatchFlags::CREATE
                    | WatchFlags::ATTRIB
                    | WatchFlags::DELETE_SELF
                    | WatchFlags::MOVE_SELF
                    | WatchFlags::ONLYDIR;
                places.push((inotify::add_watch(&self.open.from, directory, flags)?, file.clone()));
                match fs::read_link(&file) {
                    // An absolute one replaces all.
                    Ok(target) => file = directory.join(target),
                    Err(_) => break,
                }
            }
            let before = std::mem::replace(&mut *self.open.places.lock(), places.clone());
            let gone = before.iter().filter(|(number, _)| places.iter().all(|(other, _)| other != number));
            gone.for_each(|(number, _)| _ = inotify::remove_watch(&self.open.from, *number));
            Ok(())
        }

        pub(super) fn wait(&mut self, stop: &Stop) -> io::Result<bool> {
            // After a stop, or an error, nothing is watched: nothing would ever be heard.
            if self.open.places.lock().is_empty() {
                self.look()?;
            }
            let heard = self.hear(stop);
            if heard.is_err() {
                self.open.watch_nothing();
            }
            heard
        }

        fn hear(&self, stop: &Stop) -> io::Result<bool> {
            // Told, it finds nothing to be watched, and whoever waits an event that says so.
            let Some(_watching) = stop.watch(Arc::clone(&self.open) as Arc<dyn Wake>) else { return Ok(false) };
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(self.open.from.as_fd(), &mut buffer);
            loop {
                let event = match events.next() {
                    Ok(event) => event,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                if stop.told() {
                    return Ok(false);
                }
                let (number, name) = (event.wd(), event.file_name().map(|name| OsStr::from_bytes(name.to_bytes())));
                if self.is_about_us(number, name, event.events())? {
                    while !events.is_buffer_empty() {
                        _ = events.next();
                    }
                    self.look()?;
                    return Ok(!stop.told());
                }
            }
        }

        fn is_about_us(&self, number: i32, name: Option<&OsStr>, events: ReadFlags) -> io::Result<bool> {
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                return Ok(true);
            }
            let places = self.open.places.lock().clone();
            let mut ours = places.iter().filter(|(other, _)| *other == number).map(|(_, file)| file).peekable();
            if ours.peek().is_none() {
                // Of a directory that is watched no more.
                return Ok(false);
            }
            if events
                .intersects(ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF)
            {
                return Err(io::Error::new(io::ErrorKind::NotFound, "its directory is gone"));
            }
            // A file that is made is heard of when it is written; a link is whole. Of the directories on the way to the
            // file any may be a link, too, that is made to point elsewhere.
            let made = events.contains(ReadFlags::CREATE);
            let linked = places.len() > 1 && events.intersects(ReadFlags::MOVED_TO | ReadFlags::CREATE);
            Ok(ours.any(|file| linked || (file.file_name() == name && (!made || file.is_symlink()))))
        }
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle)))))]
mod platform {
    use std::{io, path::Path};

    use crate::Stop;

    #[derive(Debug)]
    pub(super) struct Watch;

    impl Watch {
        pub(super) fn new(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn wait(&mut self, _: &Stop) -> io::Result<bool> {
            Ok(false)
        }
    }
}
