//! OTP-grade supervision of OS threads, and the universe around it.
//!
//! What it promises, after OTP's [supervisor](https://www.erlang.org/doc/apps/stdlib/supervisor.html):
//! - a worker that panics or returns an error is replaced, by the strategy of its tree and within its intensity;
//! - trees start in order, stop in reverse order, and a deadline says how long each child may take;
//! - when [`Tree::stop`] returns, every child has ended or is named as abandoned, and all names are free;
//! - each life of a worker has a fresh thread, which is as the thread was that built the universe, and is accounted for
//!   until its thread-locals have been destroyed ([`System::threads`]);
//! - a supervisor is not a thread: whoever brings news to it makes its decisions, so an idle tree costs no thread.
//!
//! What an operator sees: [`Tree::snapshot`] and [`System::snapshot`], a tree with what each child does and how it last
//! ended; [`System::vitals`], figures; [`System::crashes`], the last crashes in groups. All are data, and text when printed;
//! with the cargo feature `json` also JSON. None waits for a worker.
//!
//! Where to look:
//!
//! | for | see |
//! |---|---|
//! | a whole program, with signals and an exit code | [`run()`] |
//! | a universe and its services | [`Foundation`], [`Builder`] |
//! | who is restarted, with whom, how often | [`Supervisor`], [`Strategy`], [`Restart`], [`Backoff`] |
//! | children that come and go, one worker for each key | [`Supervisor::dynamic`], [`Partitions`] |
//! | what a worker can do and ask | [`Life`] |
//! | workers that ignore their stop, or hang | [`ChildSpec::stop_within`], [`ChildSpec::heartbeat_within`], [`OnAbandon`] |
//! | starting, stopping, restarting by hand | [`Tree`] |
//! | what is going on | [`Tree::snapshot`], [`System::vitals`], [`System::crashes`] |
//!
//! What OTP has and this has not: links (a life belongs to its supervisor alone), `code_change` (a program is replaced as a
//! whole), and the killing of a child (see below).
//!
//! With the cargo feature `legacy` a universe can start from the old, thread-private implementations of its services
//! (`Foundation::builder().start_from_legacy()`), and is then moved to the new ones while it runs, stage by stage, and back:
//! see `System::migration`, and `examples/runbook.rs`. Without it everything is new, and there is nothing to be moved.
//!
//! What it does not: threads can't be killed. A worker that ignores its stop is *abandoned*: fenced, left behind and
//! reported. `panic = "abort"` is refused when compiled. And a panic on a worker's thread is not printed by the program's
//! panic hook: the crash report has it, or, if the body caught it itself, a count ([`System::panics_caught`]).
//!
//! ```no_run
//! use foundation_sync::{Full, Queue};
//! use std::{path::PathBuf, process::ExitCode};
//!
//! fn main() -> ExitCode {
//!     let paths: Queue<PathBuf> = Queue::bounded(64, Full::Wait);
//!     foundation_supervisor::run(|tree| {
//!         tree.worker("reader", move |life| {
//!             while let Some(path) = life.next(&paths)? {
//!                 println!("{}", std::fs::read_to_string(path)?.len());
//!             }
//!             Ok(())
//!         });
//!     })
//! }
//! ```

#![expect(clippy::disallowed_macros, reason = "the panic hook's note, in panics.rs")]

#[cfg(not(panic = "unwind"))]
compile_error!("foundation-supervisor needs `panic = \"unwind\"`: a worker's panic must not end the process");

use foundation_telemetry::EventName;

mod backoff;
mod budget;
mod calls;
mod census;
mod check;
mod checkpoint;
mod core;
mod courier;
mod crank;
mod crashes;
mod ender;
mod error;
mod failure;
#[cfg(feature = "legacy")]
mod figures;
mod keeper;
#[cfg(feature = "legacy")]
mod legacy;
mod life;
mod on_stop;
mod panics;
mod partitions;
#[cfg(feature = "legacy")]
mod probes;
mod report;
mod run;
mod signals;
mod snapshot;
mod spec;
mod system;
mod text;
mod tree;
mod vitals;
mod worker;

pub use backoff::Backoff;
pub use budget::Budget;
pub use calls::Calls;
pub use census::{Doing, ThreadNote};
pub use check::SpecError;
pub use checkpoint::QueueNote;
pub use core::Phase;
pub use courier::COURIER_LOST;
pub use crashes::{CrashGroup, Crashes};
pub use error::{ChildError, StartError, StopError};
pub use failure::Failure;
pub use foundation_registry::Fenced;
pub use keeper::Keeper;
pub use life::{Life, Told};
pub use on_stop::OnStop;
pub use partitions::Partitions;
pub use report::{
    BreadcrumbNote, CRASHED, CrashReport, DEFECT, GAVE_UP, LATE_EXIT, RELOAD_FAILED, RELOADED, RESTARTED, SIGNAL,
};
pub use run::run;
pub use snapshot::{
    AbandonedLife, Below, ChildSnapshot, ExitNote, Role, Snapshot, SupervisorNote, ThreadView, WorkerNote,
};
pub use spec::{AutoShutdown, ChildSpec, OnAbandon, Restart, Strategy, Supervisor};
pub use system::{Builder, Foundation, OnNeed, Services, StopReport, System, WeakSystem};
pub use text::MAX_LEN;
pub use tree::{ChildKey, ChildView, Tree};
pub use vitals::{CourierNote, Vitals};

/// The events of this crate, by part.
pub const EVENTS: &[&[EventName]] = &[report::EVENTS, courier::EVENTS];

/// All events of this crate and those that it is made of, by name: each says what it [declares](EventName::spec).
#[must_use]
pub fn catalogue() -> Vec<EventName> {
    let crates = [foundation_telemetry::EVENTS, foundation_registry::EVENTS, foundation_flags::EVENTS, EVENTS];
    let mut all: Vec<_> = crates.into_iter().flatten().copied().flatten().copied().collect();
    all.sort_unstable();
    all
}
