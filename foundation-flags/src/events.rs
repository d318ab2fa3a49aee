//! What is told of decisions: from the courier, in their order, each once.

use std::sync::Arc;

use foundation_context::fields;
use foundation_telemetry::{Emitter, EventName, Telemetry, event_name};

use crate::{Change, What};

/// A flag was turned. Measurements: `version`. Metadata: `flag`, `on`, `by`, `why`.
pub const FLAG_CHANGED: EventName = event_name!("foundation", "flags", "changed");
/// A higher stage. Measurements: `stage`, `version`. Metadata: `by`, `why`.
pub const STAGE_ENABLED: EventName = event_name!("foundation", "migration", "stage_enabled");
/// A lower stage. Measurements: `from_stage`, `to_stage`, `version`. Metadata: `by`, `why`.
pub const ROLLED_BACK: EventName = event_name!("foundation", "migration", "rollback");
/// Stage 0 at once. Measurements: `from_stage`, `version`. Metadata: `reason`.
pub const EMERGENCY: EventName = event_name!("foundation", "migration", "emergency_rollback");
/// What was decided could not be written down. Metadata: `error`.
pub const FILE_FAILED: EventName = event_name!("foundation", "flags", "file_failed");

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
            What::Set | What::Held(_) | What::Released(_) => {}
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
