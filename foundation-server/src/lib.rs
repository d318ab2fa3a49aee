//! Servers, calls, tasks, supervised send and dead letters on OS threads.
//!
//! A *server* is a state on a thread of its own that does one message after another. It is a child of a supervision tree;
//! its [`ServerRef`] is the way to it, whichever of its lives serves. After OTP's
//! [gen_server](https://www.erlang.org/doc/apps/stdlib/gen_server.html) and Elixir's
//! [Task.Supervisor](https://hexdocs.pm/elixir/Task.Supervisor.html).
//!
//! What it promises:
//! - **A call has one outcome**, by its deadline: the answer, or an error that says what became of the message. If the
//!   server had not begun it, the message comes back and is never done; if it had, the error says so, with the true exit
//!   of a server that died of it, or what it was busy with and for how long.
//! - **No message is lost in silence.** It is done, comes back, is refused with an error, waits for the next life of its
//!   server, or becomes a dead letter; what was begun and not finished, for its server died, is counted. The figures add up
//!   ([`Status`]).
//! - **At most once**, unless chosen otherwise: what was in hand when a server died is not done again, but for what was sent
//!   [to be done again](ServerRef::cast_again), with the attempt visible. A message that kills one life after another is
//!   quarantined.
//! - **A call that would wait for itself** is an error that names the ring, not a wait for the deadline.
//! - A message carries its sender's context and span; the handler works within them, and stays itself.
//! - The word to stop comes before messages. A mailbox is bounded.
//!
//! What it does not: a handler can't be interrupted. A server that hangs is found by its
//! [heartbeat](foundation_supervisor::ChildSpec::heartbeat_within) or its stop, given up, and replaced; its callers learn
//! that at once. Messages live in memory: what is to survive the process is the sender's to store.
//!
//! Where to look:
//!
//! | for | see |
//! |---|---|
//! | a server and the way to it | [`server()`], [`Server`], [`Handle`], [`ServerRef`] |
//! | asking, telling | [`ServerRef::call`], [`ServerRef::cast`], [`ServerRef::cast_again`] |
//! | timers, doing the rest after the answer, ending oneself | [`Turn`] |
//! | its mailbox, and what a restart does to messages | [`ServerSpec`] |
//! | what it is doing | [`ServerRef::status`] |
//! | telling with patience, and what becomes of it else | [`ServerRef::send`], [`Delivery`] |
//! | telling many: as many as can be, all or none, so many | [`broadcast()`], [`Quorum`] |
//! | what nobody has done, and trying it again | [`DeadLetters`] |
//! | pieces of work with a result | [`Tasks`], [`Task`], [`Map`] |
//! | all servers of a universe at a glance | [`servers()`] |
//!
//! ```
//! use foundation_server::{Handle, Server, Turn, server};
//! use foundation_supervisor::{Foundation, Strategy, Supervisor};
//! use foundation_sync::{SECOND, SECONDS_5};
//!
//! struct Totals { words: u64 }
//!
//! struct Add(String);
//! struct Get;
//!
//! impl Server for Totals {}
//!
//! impl Handle<Add> for Totals {
//!     type Reply = ();
//!     fn handle(&mut self, Add(text): Add, _: &mut Turn<Self>) {
//!         self.words += text.split_whitespace().count() as u64;
//!     }
//! }
//!
//! impl Handle<Get> for Totals {
//!     type Reply = u64;
//!     fn handle(&mut self, _: Get, _: &mut Turn<Self>) -> u64 {
//!         self.words
//!     }
//! }
//!
//! let system = Foundation::builder().start();
//! let (spec, totals) = server("totals", || Totals { words: 0 });
//! let counts = Supervisor::new("counts", Strategy::OneForOne).child(spec);
//! counts.start(&system, system.within(SECONDS_5))?;
//!
//! totals.cast(Add("to be or not to be".into()))?;
//! assert_eq!(totals.call(Get, system.within(SECOND))?, 6);
//! assert!(system.stop(SECONDS_5).is_clean());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use foundation_telemetry::EventName;

mod broadcast;
mod desk;
mod envelope;
mod error;
mod letters;
mod rest;
mod rings;
mod send;
mod serve;
mod server;
mod server_ref;
mod servers;
mod spec;
mod status;
mod tasks;
mod timers;
mod turn;

pub use broadcast::{BroadcastError, Delivered, Missed, Quorum, Recipient, broadcast};
pub use error::{CallError, CastError};
pub use letters::{
    DEAD_LETTER_ADDED, DEAD_LETTER_DELIVERED, DEAD_LETTER_OVERFLOWED, DEAD_LETTER_PURGED, DeadLetter, DeadLetters,
    LetterCounts, Reason, Retried, Retry, TakeError,
};
pub use send::{Delivery, Fate, SEND_FAILED, UndeliveredError};
pub use server::{Handle, Server};
pub use server_ref::ServerRef;
pub use servers::{Servers, servers};
pub use spec::{Pending, ServerSpec, WhenFull, server};
pub use status::{Doing, Status};
pub use tasks::{Map, Task, TaskError, Tasks};
pub use timers::{MOST_TIMERS, TimerKey};
pub use turn::Turn;

/// The events of this crate, by part.
pub const EVENTS: &[&[EventName]] = &[letters::EVENTS, send::EVENTS];

/// All events of the workspace, by name: each says what it [declares](EventName::spec).
#[must_use]
pub fn catalogue() -> Vec<EventName> {
    let own = EVENTS.iter().copied().flatten().copied();
    let mut all: Vec<_> = foundation_supervisor::catalogue().into_iter().chain(own).collect();
    all.sort_unstable();
    all
}
