//! A registry's names in a file, and back.
//!
//! [`Registry::backup`](crate::Registry::backup) and [`Registry::restore`](crate::Registry::restore) are made of
//! [`write()`], which writes records into a file that is replaced as a whole ([`foundation_sync::file`]), [`read()`], which
//! checks all of a file before it gives a single record, and [`restore()`], which has each registered, and lists what could
//! not be. None of them holds more than one record in memory, beside 4 bytes for each while a file is read, and what could
//! not be restored. A record's line has at most [`LONGEST_LINE`] bytes.
//!
//! The file is text, one JSON value a line (here the second takes two), to be read and compared by people:
//!
//! ```text
//! {"backup":"foundation-registry","version":1,"made":"2026-11-24T10:00:00.000000000Z"}
//! {"name":"index","kind":"unique","owner":{"id":1,"generation":2,"name":"indexer"},
//!  "since":"2026-11-24T09:59:58.250000000Z","metadata":[["shard",{"u64":3}]],"value":"port 7"}
//! {"end":{"records":1,"crc32":"0a1b2c3d"}}
//! ```
//!
//! The last line has the number of records, and the CRC-32 of all bytes before it. A record's line has to be byte for byte
//! what this version would write for it, and so have the first and the last; so whatever was cut, changed, added or
//! written by another version is refused, and the error names file, line and way out. A change by hand is refused, too.
//!
//! Fractions are text, so that each comes back with all its bits: the shortest that stands for it, `inf`, `-inf`, or
//! `nan:` and the bits. Text that was known when compiled comes back as [`Text`](foundation_context::Value::Text). Dates lie
//! in the years 1970 to 9999. Values and metadata stand in the file in clear: who may read it is for the directory and its
//! permissions to say; those of a file that is replaced stay.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("names.backup");
//! use foundation_context::{Incarnation, fields};
//! use foundation_registry::{Owners, Registry};
//! use foundation_telemetry::Telemetry;
//!
//! let owners = Owners::default();
//! let registry = Registry::<u16>::new(&owners, &Telemetry::new());
//! let indexer = owners.begin(Incarnation { id: 1, generation: 1 }, "indexer");
//! registry.register("index", &indexer, 7, fields! { shard: 3 })?.keep();
//! registry.backup(&path, |entry| Some(entry.value().to_string()))?;
//!
//! // In the next life of the program.
//! let owners = Owners::default();
//! let registry = Registry::<u16>::new(&owners, &Telemetry::new());
//! let indexer = owners.begin(Incarnation { id: 9, generation: 1 }, "indexer");
//! let restored = registry.restore(&path, &["shard"], |record| {
//!     Some((indexer.clone(), record.value.as_ref()?.parse().ok()?)) // whose it is now, and what it stands for
//! })?;
//! assert!(restored.is_complete(), "{restored}");
//! assert_eq!(registry.lookup("index").map(|entry| *entry.value()), Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod line;
mod read;
mod record;
mod registry;
mod restore;
mod write;

pub use error::{BackupError, Problem};
pub use line::LONGEST_LINE;
pub use read::{Backup, read};
pub use record::{Kind, Record, UnknownField};
pub use restore::{Refused, RestoreError, Restored, restore};
pub use write::{Written, write};

/// The version that this program writes and reads.
pub const VERSION: u64 = 1;
