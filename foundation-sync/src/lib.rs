//! Threads, locks, atomics, snapshots, queues and the clock: the one door to the machine.
//!
//! Everything that decides an interleaving or a deadline comes from this crate, so the same protocol code runs on
//! three *faces*: for real (parking_lot, arc-swap, sdd, std), under [loom] (`--cfg loom`: every schedule of a small
//! scenario) and under [shuttle] (`--cfg shuttle`: thousands of random schedules of a larger one).
//!
//! What it promises:
//! - the same names and signatures on all faces, [`atomic`] and [`LocalKey`] as far as the checkers have them (`new` is not
//!   `const` there); no other crate says `cfg(loom)`;
//! - what may wait for another thread takes a [`Deadline`] or ends with a [`Stop`]; exempt are [`Mutex`] and
//!   [`Condvar`], the raw material;
//! - a [`Switch`] between two implementations is one load to read, is pushed and never asks, and what was opened in one
//!   mode remembers it ([`Guard`]);
//! - no queue without a capacity, no thread of its own: where one is needed the crate offers its body
//!   ([`Timekeeper`]);
//! - time that obeys a test ([`VirtualTime`]): every wait of this crate, and whatever is built of it, goes by it, on all
//!   faces. It says when all that was due is done.
//!
//! With the cargo feature `file` there is a file that is replaced as a whole and durably, `file::replace`.
//!
//! What it does not: loom and shuttle have no time. There the system's clock stands, and its deadlines never pass; what
//! they would do is brought about by a thread of the model, or by a virtual time that such a thread advances. And models
//! check what is built *on* arc-swap's cell and sdd's epochs ([`Snapshot`], [`Map`]): those two are locks there, which
//! order more than they do by themselves, and are checked by their own projects.
//!
//! ```
//! use foundation_sync::{Clock, Full, Queue, RecvError, SECOND, thread};
//!
//! let clock = Clock::system();
//! let words = Queue::bounded(2, Full::Wait);
//! let sender = words.clone();
//! let until = clock.within(SECOND);
//! let reader = thread::Builder::new("reader").spawn(move || {
//!     for word in ["one", "two", "three"] {
//!         sender.send(word, &until).expect("somebody reads");
//!     }
//!     sender.close();
//! })?;
//! let mut heard = Vec::new();
//! let end = loop {
//!     match words.recv(&clock.within(SECOND)) {
//!         Ok(word) => heard.push(word),
//!         Err(end) => break end,
//!     }
//! };
//! assert_eq!((heard.join(" ").as_str(), end), ("one two three", RecvError::Closed));
//! reader.join().expect("it did not panic");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [loom]: https://docs.rs/loom
//! [shuttle]: https://docs.rs/shuttle

mod activity;
mod barrier;
mod clock;
mod condvar;
mod errand;
mod explore;
mod face;
#[cfg(feature = "file")]
pub mod file;
pub mod legacy;
mod mailbox;
mod oneshot;
#[doc(hidden)]
pub mod payload;
mod queue;
mod serial;
mod spin;
mod stop;
mod stripe;
mod switch;
mod timekeeper;
mod virtual_time;
mod watched;
mod whereabouts;

pub use activity::Activity;
pub use clock::{Clock, Deadline, MINUTE, Nanos, SECOND, SECONDS_5, Until};
pub use condvar::Condvar;
pub use errand::{Errand, Errands};
pub use explore::{Scenario, explore};
#[doc(hidden)]
pub use explore::{crash_if_due, is_planted, mark};
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub use face::model_thread_local;
pub use face::{Cached, Keyed, LocalKey, MODEL, Map, Mutex, MutexGuard, Once, Peek, Snapshot, atomic, fence, thread};
pub use mailbox::{Mailbox, Sender};
pub use oneshot::{Looks, OneShot};
pub use queue::{
    ClosedError, Full, GiveBackError, Permit, Queue, RecvError, ReserveError, SendError, TryRecvError, TrySendError,
};
pub use serial::{Agenda, Serial, Turn};
pub use stop::{Stop, Wake, Watching};
pub use stripe::{stripe, thread_number};
pub use switch::{Epoch, Guard, Switch};
pub use timekeeper::{Body, Timekeeper, TimerId};
pub use virtual_time::{AdvanceError, Enrolment, Entered, VirtualTime};
pub use whereabouts::Whereabouts;
