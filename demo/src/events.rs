//! The demo's events.

use foundation_telemetry::events;

events! {
    /// All that a run without a migration emits.
    pub const ALL;

    /// The walker found a file.
    pub const FOUND = ["demo", "file", "found"];
    measurements {}
    metadata { file: "path" }

    /// A counter leased a file.
    pub const LEASED = ["demo", "file", "leased"];
    measurements {}
    metadata { file: "path", attempt: "number" }

    /// A result was accepted.
    pub const COUNTED = ["demo", "file", "counted"];
    measurements { bytes: "bytes", duration: "ns" }
    metadata { file: "path" }

    /// A file was put back, because whoever held it ended.
    pub const RETURNED = ["demo", "file", "returned"];
    measurements {}
    metadata { file: "path", attempt: "number", exit: "text" }

    /// A result came too late.
    pub const REFUSED = ["demo", "file", "refused"];
    measurements {}
    metadata { file: "path", holder: "incarnation" }

    /// A file could not be read.
    pub const UNREADABLE = ["demo", "file", "unreadable"];
    measurements {}
    metadata { file: "path", reason: "text" }

    /// A file killed its worker too often.
    pub const QUARANTINED = ["demo", "file", "quarantined"];
    measurements {}
    metadata { file: "path" }

    /// The walk is over.
    pub const WALKED = ["demo", "walk", "done"];
    measurements { files: "files" }
    metadata {}
}

events! {
    /// What a migration emits beside them.
    pub const MIGRATION;

    /// A file of this kind was seen, told once per thread or once in all.
    pub const KIND_SEEN = ["demo", "kind", "seen"];
    measurements {}
    metadata { kind: "text" }
}
