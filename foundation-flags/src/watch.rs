//! The file is reloaded when a person has changed it.

use std::{fmt, io, sync::Arc};

use foundation_sync::{
    Stop,
    atomic::{AtomicBool, Ordering},
    file::Watch,
};

use crate::Flags;

/// Why a file is not watched, or not any more.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchError {
    /// There is no file.
    NoFile,
    /// What the operating system says; [`io::ErrorKind::Unsupported`] where it can't tell of changes.
    System(io::Error),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => f.write_str("these flags have no file: give them one when they are made"),
            Self::System(error) => write!(
                f,
                "the file of the flags can't be watched ({error}): its directory has to be there, and readable; \
                 reload it by hand or by a signal meanwhile"
            ),
        }
    }
}

impl std::error::Error for WatchError {}

impl Flags {
    /// [Reloads](Self::reload) the file now and whenever a person has changed it, until it is told to stop: the body of a
    /// thread that waits, and looks at nothing while nothing is changed. Where there is a courier that one reloads.
    ///
    /// Which links on the way are followed, and that a directory that is one is not, says [`Watch::new`]. While a change is
    /// under way the file is looked at when that has ended. What can't be taken up is told as
    /// [`FILE_REFUSED`](crate::FILE_REFUSED), stands in [`Status::reload_error`](crate::Status::reload_error), and is looked at
    /// again when it is changed again.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("flags.toml");
    /// # use foundation_flags::{Flag, Flags};
    /// use foundation_sync::{Stop, thread};
    ///
    /// const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
    /// let (flags, stop) = (Flags::builder().flag(&NEW_CHECKOUT).file(&path).start()?, Stop::new());
    /// let (watched, until) = (flags.clone(), stop.clone());
    /// let watches = move || watched.watch_file("the file", &until).expect("its directory stays");
    /// let watching = thread::Builder::new("flags file").spawn(watches)?;
    ///
    /// std::fs::write(&path, "[flags]\nnew_checkout = true\n")?; // by a person
    /// while !flags.enabled(&NEW_CHECKOUT) {
    ///     thread::yield_now();
    /// }
    /// stop.tell();
    /// watching.join().expect("it does not panic");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is no file, or it can't be watched, or its directory is gone. It may be called again.
    pub fn watch_file(&self, by: &str, stop: &Stop) -> Result<(), WatchError> {
        let path = self.0.store.path().ok_or(WatchError::NoFile)?;
        let mut watch = Watch::new(path).map_err(WatchError::System)?;
        let (by, asked) = (Arc::from(by), Arc::new(AtomicBool::new(false)));
        loop {
            self.ask_for_reload(&by, &asked);
            if !watch.wait(stop).map_err(WatchError::System)? {
                return Ok(());
            }
        }
    }

    /// Has the courier do it, unless that waits to be done already.
    fn ask_for_reload(&self, by: &Arc<str>, asked: &Arc<AtomicBool>) {
        // ordering: AcqRel, with the one below: what was heard of is seen by the reload that answers it.
        if asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let (flags, by, answered) = (self.clone(), Arc::clone(by), Arc::clone(asked));
        let errand = Box::new(move || {
            answered.swap(false, Ordering::AcqRel); // ordering: see above
            // Most of what is heard is our own writing. It needs no role to find that out.
            if flags.0.store.seems_changed() {
                flags.0.reload_or_note(&by);
            }
        });
        if let Err(errand) = self.0.errands.send(errand) {
            errand();
        }
    }
}
