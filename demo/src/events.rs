//! The demo's events.

use foundation_telemetry::{EventName, event_name};

/// The walker found a file. Metadata: `file`.
pub const FOUND: EventName = event_name!("demo", "file", "found");
/// A counter leased a file. Metadata: `file`, `attempt`.
pub const LEASED: EventName = event_name!("demo", "file", "leased");
/// A result was accepted. Measurements: `bytes`, `duration` (nanoseconds). Metadata: `file`.
pub const COUNTED: EventName = event_name!("demo", "file", "counted");
/// A file was put back, because whoever held it ended. Metadata: `file`, `attempt`, `exit`.
pub const RETURNED: EventName = event_name!("demo", "file", "returned");
/// A result came too late. Metadata: `file`, `holder`.
pub const REFUSED: EventName = event_name!("demo", "file", "refused");
/// A file could not be read. Metadata: `file`, `reason`.
pub const UNREADABLE: EventName = event_name!("demo", "file", "unreadable");
/// A file killed its worker too often. Metadata: `file`.
pub const QUARANTINED: EventName = event_name!("demo", "file", "quarantined");
/// The walk is over. Measurements: `files`.
pub const WALKED: EventName = event_name!("demo", "walk", "done");

/// A file of this kind was seen, told once per thread or once in all. Metadata: `kind`. Only while migrating.
pub const KIND_SEEN: EventName = event_name!("demo", "kind", "seen");

/// All that a run without a migration emits.
pub const ALL: &[EventName] = &[FOUND, LEASED, COUNTED, RETURNED, REFUSED, UNREADABLE, QUARANTINED, WALKED];
