//! Tests of threads without a sleep: a universe per test, waits for facts, captured telemetry, scripted children, and
//! scenarios on three faces.
//!
//! What it promises:
//! - two tests never see each other's universe, so they run in parallel and in any order;
//! - a wait ends when its fact is there, and is a failure when patience is over: it says what was waited for, where, how
//!   long, what there was instead, and what every thread of the universe was doing. Patience is five seconds of real time,
//!   whatever the universe's time is; `FOUNDATION_PATIENCE=3` makes it three times as long;
//! - the universe's own time is real, or the test's: it stands until it is moved, and a move returns when all that became
//!   due is done; or it jumps to the next deadline when everybody waits;
//! - a universe that is dropped fails the test that left something behind: threads, names, monitors, spans, handlers, what
//!   was said in the context; and one whose handler failed, as an assertion in it does.
//!
//! How threads of your own are modelled is told in [`modelling`].
//!
//! What it does not: move time for code that reads the system's clock itself, or sleeps by it.
//!
//! ```
//! use foundation_context::fields;
//! use foundation_telemetry::{EventName, event_name};
//! use foundation_testkit::TestUniverse;
//!
//! let t = TestUniverse::new();
//! let worker = t.start_child("worker");
//! worker.crash();
//! let next = t.wait_for_restart(&worker);
//! assert_eq!(next.incarnation().generation, worker.incarnation().generation + 1);
//!
//! const BOUGHT: EventName = event_name!("shop", "item", "bought");
//! let telemetry = t.telemetry().clone();
//! let seen = t.assert_telemetry_event(&["shop", "item", "bought"], fields! { count: 1_u64 }, || {
//!     telemetry.emit(BOUGHT, || (fields! { count: 1_u64 }, fields! { item: "tea" }));
//! });
//! assert_eq!(seen.metadata, fields! { item: "tea" });
//! ```
//!
//! An hour of a worker's life, in a moment:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use foundation_supervisor::{ChildSpec, Strategy, Supervisor};
//! use foundation_sync::{
//!     Full, MINUTE, Queue, RecvError,
//!     atomic::{AtomicU32, Ordering},
//! };
//! use foundation_testkit::TestUniverse;
//!
//! let t = TestUniverse::with_virtual_time();
//! let (ticks, counts) = (Arc::new(AtomicU32::new(0)), Queue::<()>::bounded(1, Full::Wait));
//! let ticked = Arc::clone(&ticks);
//! let ticker = ChildSpec::worker("ticker", move |life| {
//!     while counts.recv(life.system().within(MINUTE).or_stop(life.stop())) == Err(RecvError::TimedOut) {
//!         ticked.fetch_add(1, Ordering::Relaxed);
//!     }
//!     Ok(())
//! });
//! t.start(Supervisor::new("clockwork", Strategy::OneForOne).child(ticker));
//! t.clock().advance(Duration::from_secs(3_600));
//! assert_eq!(ticks.load(Ordering::Relaxed), 60);
//! ```

mod beside;
mod capture;
mod child;
mod clock;
mod declared;
pub mod modelling;
mod patience;
mod universe;

pub use beside::{Beside, join, spawn};
pub use capture::Capture;
pub use child::Child;
pub use clock::TestClock;
#[doc(no_inline)]
pub use foundation_sync::{Scenario, crash, explore, planted, reached};
pub use patience::{Fact, deep, patience, wait_for};
pub use universe::TestUniverse;

/// The examples of the project's README are examples of this crate, and are tested with it.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
