//! Who is alive, and under which name: names that never point at the dead, and monitors.
//!
//! What it promises:
//! - a name has at most one live owner; an entry of a dead one is replaced without waiting for anyone;
//! - whoever has seen an incarnation's [`Down`] can look up and register its names at once, and never meets the dead;
//! - a monitor gets exactly one Down with the true reason, also when it comes late; its caller's end drops it; all are
//!   counted, and listed with where they were made ([`Owners::monitors`], [`Owners::leaks`]);
//! - only who holds the right to end a life ends it ([`OwnerGuard`]): whoever finds an [`Owner`] does not;
//! - what an ended incarnation still tries to register is refused ([`RegisterError::Fenced`]), and what it still tries to
//!   receive stays for its successor ([`Owner::recv`]);
//! - removal names the entry: nobody removes a successor's;
//! - looking a name up waits for no writer, and allocates nothing; what a writer does takes no longer for there being
//!   more names, and a registry that has become small again gives its memory back;
//! - a value is dropped by its last holder, once, under no lock.
//!
//! What it does not: it knows one process. And a reason is remembered for the last [`TOMBSTONES`] ends only; who asks
//! later learns [`Exit::NoSuchIncarnation`].
//!
//! | to | there is |
//! |---|---|
//! | have a name, or be one of many under a key | [`Registry::register`], [`Registry::join`]; [`Registration`] |
//! | find who has it | [`Registry::lookup`], [`Registry::members`], [`Registry::query`]; over and over: [`Registry::name`] |
//! | have it started if nobody has it, once | [`Registry::lookup_or_start`] |
//! | change what it stands for | [`Registry::update_value`], [`Registry::update_metadata`] |
//! | hear of changes | [`Registry::watch`] a name, [`Registry::listen`] to all |
//! | have a life, and end it | [`Owners::begin`], [`OwnerGuard::end`] |
//! | hear of an end | [`Owners::monitor`] |
//! | be the only one for a while | [`Registry::lock`] |
//! | see what there is | [`Registry::entries`], [`Registry::groups`], [`Registry::keys_of`], [`Registry::sizes`] |
//! | keep it over the end of the process | `Registry::backup`, `Registry::restore` (feature `backup`) |
//! | be sure of it | [`Registry::check`], [`Registry::rebuild`] |
//!
//! With the cargo feature `legacy` a registry has a switch (`Registry::switch`). While it is off a name is private to
//! the thread that registered it: another thread does not find it, and may have the same name for itself. Turned on,
//! everybody finds every name at once, also when it is turned off again. Of several threads that had one name, the
//! first one's is everybody's then; the others find their own until they give it up. When the first one gives the name
//! up, the next one's becomes everybody's. All other promises hold in both modes: names end with their owner, not with
//! the thread that registered them. Groups are alike: a member that joined while it was off is seen by its thread.
//!
//! ```
//! use foundation_context::{Incarnation, fields};
//! use foundation_registry::{Exit, Owners, Registry};
//! use foundation_sync::{Clock, SECOND};
//! use foundation_telemetry::Telemetry;
//!
//! let (clock, telemetry, owners) = (Clock::system(), Telemetry::new(), Owners::default());
//! let registry = Registry::new(&owners, &telemetry);
//! let indexer = owners.begin(Incarnation { id: 1, generation: 1 }, "indexer");
//!
//! let registration = registry.register("index", &indexer, "its address", fields! { shard: 3 })?;
//! assert_eq!(registry.lookup("index").map(|entry| *entry.value()), Some("its address"));
//! registration.keep(); // until the owner ends; dropped, it would be unregistered now
//!
//! let monitor = owners.monitor(indexer.incarnation());
//! drop(indexer.end(Exit::Normal));
//! assert_eq!(monitor.recv(clock.within(SECOND))?.exit, Exit::Normal);
//! assert!(registry.lookup("index").is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
#[cfg(feature = "backup")]
pub mod backup;
mod bags;
mod books;
mod changes;
mod check;
mod error;
mod exit;
mod fence;
mod guard;
mod held;
mod index;
mod inner;
mod lock;
mod monitor;
mod monitors;
mod names;
mod owner;
mod owners;
#[cfg(feature = "legacy")]
mod private;
mod query;
mod registration;
mod registry;
mod resolved;
mod start;
mod tombstones;
mod vigil;

pub use address::Address;
pub use changes::{Change, Listener, Removal, Watch, What};
pub use check::{Mismatch, Rebuilt, Sizes, Wrong};
pub use error::{RegisterError, UpdateError};
pub use exit::{Cause, Down, Exit, Panic};
pub use fence::{Fenced, OwnerRecvError};
pub use guard::OwnerGuard;
pub use held::Entry;
pub use lock::{KeyGuard, KeyLocks, LockError, LockNote};
pub use monitor::{Monitor, MonitorOptions};
pub use monitors::{MONITOR_CREATED, MONITOR_LEAKED, MONITOR_WITHDRAWN, MonitorNote, MonitorStats};
pub use owner::{Owner, Remains};
pub use owners::Owners;
pub use query::Query;
pub use registration::Registration;
pub use registry::{CAPACITY, REGISTERED, Registry, RegistryBuilder, UNREGISTERED, UPDATED};
pub use resolved::Name;
pub use start::{StartError, StartNote, Starts};
pub use tombstones::TOMBSTONES;
pub use vigil::{Heir, LeaveToError, MOST_HEIRS};

/// The events of this crate, by part.
pub const EVENTS: &[&[foundation_telemetry::EventName]] = &[monitors::EVENTS, registry::EVENTS];
