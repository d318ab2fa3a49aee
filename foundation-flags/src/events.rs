//! What is told of decisions: from the courier, in their order, each once.

use std::sync::Arc;

use foundation_context::fields;
use foundation_telemetry::{Emitter, Telemetry, events};

use crate::{Change, What};

events! {
    /// The events of flags and migrations.
    pub(crate) const ALL;

    /// A flag was turned.
    pub const FLAG_CHANGED = ["foundation", "flags", "changed"];
    measurements { version: "number" }
    metadata { flag: "text", on: "yes or no", by: "text", why: "text" }

    /// A higher stage was reached.
    pub const STAGE_ENABLED = ["foundation", "migration", "stage_enabled"];
    measurements { stage: "number", version: "number" }
    metadata { by: "text", why: "text" }

    /// A migration went back to a lower stage.
    pub const ROLLED_BACK = ["foundation", "migration", "rollback"];
    measurements { from_stage: "number", to_stage: "number", version: "number" }
    metadata { by: "text", why: "text" }

    /// A migration went back to stage 0 at once.
    pub const EMERGENCY = ["foundation", "migration", "emergency_rollback"];
    measurements { from_stage: "number", version: "number" }
    metadata { reason: "text" }

    /// What was decided could not be written down.
    pub const FILE_FAILED = ["foundation", "flags", "file_failed"];
    measurements {}
    metadata { error: "text" }
}

pub(crate) struct Events {
    changed: Emitter,
    enabled: Emitter,
    rolled_back: Emitter,
    emergency: Emitter,
    file_failed: Emitter,
}

impl Events {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            changed: telemetry.emitter(FLAG_CHANGED),
            enabled: telemetry.emitter(STAGE_ENABLED),
            rolled_back: telemetry.emitter(ROLLED_BACK),
            emergency: telemetry.emitter(EMERGENCY),
            file_failed: telemetry.emitter(FILE_FAILED),
        }
    }

    pub(crate) fn changed(&self, change: &Change) {
        let Change { version, by, why, .. } = change;
        let who = || fields! { by: Arc::clone(by), why: Arc::clone(why) };
        match change.what {
            What::Advanced { to, .. } => self.enabled.emit(|| (fields! { stage: to, version: *version }, who())),
            What::RolledBack { from, to } => {
                self.rolled_back.emit(|| (fields! { from_stage: from, to_stage: to, version: *version }, who()))
            }
            What::Emergency { from } => self
                .emergency
                .emit(|| (fields! { from_stage: from, version: *version }, fields! { reason: Arc::clone(why) })),
            What::Set | What::Reset | What::Undone(_) | What::Held(_) | What::Released(_) => {}
        }
        for (flag, on) in &change.turned {
            self.changed.emit(|| {
                let about = fields! { flag: *flag, on: *on, by: Arc::clone(by), why: Arc::clone(why) };
                (fields! { version: *version }, about)
            });
        }
    }

    pub(crate) fn file_failed(&self, error: &Arc<str>) {
        self.file_failed.emit(|| (fields! {}, fields! { error: Arc::clone(error) }));
    }
}
