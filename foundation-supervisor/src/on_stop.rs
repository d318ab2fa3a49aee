//! What is done for a worker that can't hear the word to stop, for it sits in a system call.
//!
//! # Protocol
//! The hook lies in a slot, from which it is taken once: to be run, or to be dropped by its guard. The word to stop
//! brings an errand to the courier, which takes it there; so what was put off is taken back as long as it has not begun.
//!
//! Named races:
//! - *word against hook*: the word is said while the hook is being left. Either it is watched before, or the watch is
//!   refused and the errand goes out from here.

use std::{fmt, sync::Arc};

use foundation_sync::{Mutex, Wake, Watching, planted, reached};

use crate::{Life, System};

type Hook = Box<dyn FnOnce() + Send>;

/// A hook that is run when its worker is told to stop, unless this is dropped before: see [`Life::on_stop`].
#[must_use = "dropped, it takes the hook away"]
pub struct OnStop {
    slot: Arc<Slot>,
    /// `None`: the word was said already.
    _watching: Option<Watching>,
}

struct Slot {
    system: System,
    hook: Mutex<Option<Hook>>,
}

impl Life {
    /// Runs `hook` once when this worker is told to stop, or at once if it was; for one that sits in a system call and
    /// can't hear the word: shut its socket down, unpark it.
    ///
    /// The hook is run by the universe's courier, behind what waits there: it should do one thing and wait for nothing. A
    /// panic in it is caught; it, and a hook that finds no room with the courier, are counted ([`System::lost`]).
    ///
    /// Dropping the guard takes a hook that has not begun away, unrun, and waits for nothing: one that the courier has
    /// taken by then may still be running. So let it own what it touches, such as a clone of the socket, rather than a
    /// number that may be another's by then. A guard that is not dropped keeps its hook beyond the body: a life's end is
    /// its word to stop, too.
    ///
    /// ```no_run
    /// use std::{io::Read, net::{Shutdown, TcpStream}};
    ///
    /// use foundation_supervisor::{Failure, Life};
    ///
    /// fn read(life: &Life) -> Result<(), Failure> {
    ///     let mut stream = TcpStream::connect("localhost:4000")?;
    ///     let other = stream.try_clone()?;
    ///     let _hook = life.on_stop(move || _ = other.shutdown(Shutdown::Both));
    ///     let mut received = [0; 1024];
    ///     // It ends with the stream, and the stream with the word to stop.
    ///     while stream.read(&mut received)? > 0 {}
    ///     Ok(())
    /// }
    /// ```
    pub fn on_stop(&self, hook: impl FnOnce() + Send + 'static) -> OnStop {
        let slot = Slot { system: self.system().clone(), hook: Mutex::new(Some(Box::new(hook))) };
        let slot = Arc::new(slot);
        let watching = self.stop().watch(Arc::new(Told(Arc::clone(&slot))));
        if watching.is_none() && !planted!("on_stop: the word is missed") {
            reached!("told before the hook was left");
            slot.send();
        }
        OnStop { slot, _watching: watching }
    }
}

impl Slot {
    fn send(self: &Arc<Self>) {
        let slot = Arc::clone(self);
        self.system.put_off(Box::new(move || {
            if let Some(hook) = slot.take() {
                hook();
            }
        }));
    }

    fn take(&self) -> Option<Hook> {
        self.hook.lock().take()
    }
}

/// The word to stop.
struct Told(Arc<Slot>);

impl Wake for Told {
    fn wake(&self) {
        self.0.send();
    }
}

impl Drop for OnStop {
    fn drop(&mut self) {
        let hook = self.slot.take();
        drop(hook);
    }
}

impl fmt::Debug for OnStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.slot.hook.lock().is_some();
        f.write_str(if waits { "OnStop(waits)" } else { "OnStop(taken)" })
    }
}
