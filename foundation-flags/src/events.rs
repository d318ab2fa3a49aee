//! What is told of decisions: from the courier, in their order, each once.

use std::{sync::Arc, time::Duration};

use foundation_context::{Fields, fields};
use foundation_sync::SECOND;
use foundation_telemetry::{Emitter, Telemetry, events};

use crate::{Change, Finding, Said, ShadowSample, What};

events! {
    /// The events of flags and migrations.
    pub(crate) const ALL;

    /// A flag was turned.
    pub const FLAG_CHANGED = ["foundation", "flags", "changed"];
    measurements { version: "number" }
    metadata { flag: "text", on: "yes or no", by: "text", why: "text" }

    /// Something was said about a flag that is in no plan.
    pub const RULE_CHANGED = ["foundation", "flags", "rule_changed"];
    measurements { version: "number" }
    metadata { flag: "text", part: "for whom", setting: "on, off, a percentage, or default", by: "text", why: "text" }

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

    /// A shadow's new implementation answered another thing than the old one. Once per second at most.
    pub const SHADOW_DIFFERENT = ["foundation", "shadow", "different"];
    measurements { different: "count", old_duration: "ns", new_duration: "ns" }
    metadata { flag: "text", id: "text" if "the call has one", old: "text", new: "text" }

    /// A shadow's new implementation panicked, or the equality. Once per second at most.
    pub const SHADOW_PANICKED = ["foundation", "shadow", "panicked"];
    measurements { panicked: "count", old_duration: "ns" }
    metadata { flag: "text", id: "text" if "the call has one", old: "text", what: "text", said: "text" }
}

pub(crate) struct Events {
    changed: Emitter,
    rule_changed: Emitter,
    enabled: Emitter,
    rolled_back: Emitter,
    emergency: Emitter,
    file_failed: Emitter,
    different: Emitter,
    panicked: Emitter,
}

impl Events {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            changed: telemetry.emitter(FLAG_CHANGED),
            rule_changed: telemetry.emitter(RULE_CHANGED),
            enabled: telemetry.emitter(STAGE_ENABLED),
            rolled_back: telemetry.emitter(ROLLED_BACK),
            emergency: telemetry.emitter(EMERGENCY),
            file_failed: telemetry.emitter(FILE_FAILED),
            different: telemetry.emitter(SHADOW_DIFFERENT),
            panicked: telemetry.emitter(SHADOW_PANICKED),
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
        for Said { flag, part, before, after } in &change.said {
            if before != after {
                self.rule_changed.emit(|| {
                    let setting = after.map_or_else(|| "default".to_owned(), |after| after.to_string());
                    let (part, by, why) = (part.to_string(), Arc::clone(by), Arc::clone(why));
                    (
                        fields! { version: *version },
                        fields! { flag: *flag, part: part, setting: setting, by: by, why: why },
                    )
                });
            }
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

    /// What a shadow found: where it was found, and so often that it can't flood who listens.
    pub(crate) fn shadow(&self, flag: &'static str, sample: &ShadowSample, count: u64) {
        let ShadowSample { finding, id, old, new, old_took, new_took, .. } = sample;
        let nanos = |span: &Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let called = |rest: Fields| match id {
            Some(id) => rest.iter().cloned().chain(fields! { id: Arc::clone(id) }.iter().cloned()).collect(),
            None => rest,
        };
        let old = || Arc::clone(old);
        if *finding == Finding::Different {
            self.different.emit_once_per(SECOND, flag, || {
                let took = new_took.as_ref().map_or(0, nanos);
                let figures = fields! { different: count, old_duration: nanos(old_took), new_duration: took };
                (figures, called(fields! { flag: flag, old: old(), new: Arc::clone(new) }))
            });
        } else {
            self.panicked.emit_once_per(SECOND, flag, || {
                let what = finding.to_string();
                let about = fields! { flag: flag, old: old(), what: what, said: Arc::clone(new) };
                (fields! { panicked: count, old_duration: nanos(old_took) }, called(about))
            });
        }
    }
}
