//! Tests of threads without a sleep: a universe per test, waits for facts, captured telemetry, scripted children, and
//! scenarios on three faces.
//!
//! What it promises:
//! - two tests never see each other's universe, so they run in parallel and in any order;
//! - a wait ends when its fact is there, and is a failure when patience is over: it says what was waited for, where, how
//!   long, and which threads ran. Patience is five seconds of real time; `FOUNDATION_PATIENCE=3` makes it three times
//!   as long;
//! - a universe that is dropped fails the test that left something behind: threads, names, monitors, spans,
//!   handlers.
//!
//! How threads of your own are modelled is told in [`modelling`].
//!
//! What it does not: hold up time. Waits are driven by what happens.
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

mod beside;
mod capture;
mod child;
pub mod modelling;
mod patience;
mod universe;

pub use beside::{join, spawn};
pub use capture::Capture;
pub use child::Child;
#[doc(no_inline)]
pub use foundation_sync::{Scenario, explore, planted, reached};
pub use patience::{Fact, deep, patience, wait_for};
pub use universe::TestUniverse;

/// The examples of the project's README are examples of this crate, and are tested with it.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
