//! Who is alive, and under which name: names that never point at the dead, and monitors.
//!
//! What it promises:
//! - a name has at most one live owner; an entry of a dead one is replaced without waiting for anyone;
//! - whoever has seen an incarnation's [`Down`] can look up and register its names at once, and never meets the dead;
//! - a monitor gets exactly one Down with the true reason, also when it comes late; its caller's end drops it; all are
//!   counted, and listed with where they were made ([`Owners::monitors`], [`Owners::leaks`]);
//! - what an ended incarnation still tries to register is refused ([`RegisterError::Fenced`]), and what it still tries to
//!   receive stays for its successor ([`Owner::recv`]);
//! - looking a name up waits for no writer.
//!
//! What it does not: it knows one process. And a reason is remembered for the last [`TOMBSTONES`] ends only; who asks
//! later learns [`Exit::NoSuchIncarnation`].
//!
//! With the cargo feature `legacy` a registry has a switch (`Registry::switch`). While it is off a name is private to
//! the thread that registered it: another thread does not find it, and may have the same name for itself. Turned on,
//! everybody finds every name at once, also when it is turned off again. Of several threads that had one name, the
//! first one's is everybody's then; the others find their own until they give it up. When the first one gives the name
//! up, the next one's becomes everybody's. All other promises hold in both modes: names end with their owner, not with
//! the thread that registered them.
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
mod exit;
mod fence;
mod monitor;
mod monitors;
mod names;
mod owner;
mod owners;
#[cfg(feature = "legacy")]
mod private;
mod registry;
mod tombstones;
mod watch;

pub use address::Address;
pub use exit::{Cause, Down, Exit, Panic};
pub use fence::{Fenced, OwnerRecvError};
pub use monitor::{Monitor, MonitorOptions};
pub use monitors::{MONITOR_CREATED, MONITOR_LEAKED, MONITOR_WITHDRAWN, MonitorNote, MonitorStats};
pub use owner::{Owner, Remains};
pub use owners::Owners;
pub use registry::{Entry, REGISTERED, RegisterError, Registration, Registry, UNREGISTERED};
pub use tombstones::TOMBSTONES;
