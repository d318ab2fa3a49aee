//! What is told of decisions: from the courier, in their order, each once.

use std::sync::Arc;

use foundation_context::fields;
use foundation_telemetry::{Emitter, Telemetry, events};

use crate::{Change, Flag, MigrationPlan, Said, What, notices::Notice, shadow, store::News};

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

    /// A migration has left stage 0.
    pub const MIGRATION_START = ["foundation", "migration", "migration_start"];
    measurements { stages: "number", version: "number" }
    metadata { plan: "text", by: "text", why: "text" }

    /// A migration has reached its last stage.
    pub const MIGRATION_COMPLETE = ["foundation", "migration", "migration_complete"];
    measurements { stages: "number", version: "number" }
    metadata { plan: "text", by: "text", why: "text" }

    /// A stage was asked for and is not reached: the program was not ready, another decision came in between, or it could
    /// not be written down.
    pub const MIGRATION_FAILED = ["foundation", "migration", "migration_failed"];
    measurements { from_stage: "number", to_stage: "number" }
    metadata { by: "text", reason: "text" }

    /// A figure has crossed a limit that calls for a person: once until it is below again, or the stage another one.
    pub const ALERT = ["foundation", "migration", "alert"];
    measurements { value: "number, in the unit that the reason says", limit: "number, in the same unit", stage: "number" }
    metadata { figure: "text", level: "alert, or roll back", reason: "text" }

    /// A baseline was started, or finished.
    pub const BASELINE = ["foundation", "migration", "baseline"];
    measurements { version: "number" }
    metadata { finished: "yes or no", by: "text", why: "text" }

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

    /// Flags were started, and by the clock the day has come on which this one was to be gone from the source.
    pub const EXPIRED = ["foundation", "flags", "expired"];
    measurements {}
    metadata { flag: "text", expires: "day", owner: "text" if "one was declared" }

    /// Flags were started, and of this one, which is not declared, the file says something: it stays there.
    pub const UNKNOWN_IN_FILE = ["foundation", "flags", "unknown_in_file"];
    measurements {}
    metadata { flag: "text" }

    /// What was decided could not be written down.
    pub const FILE_FAILED = ["foundation", "flags", "file_failed"];
    measurements {}
    metadata { error: "text" }

    /// What a person has made of the file can't be taken up.
    pub const FILE_REFUSED = ["foundation", "flags", "file_refused"];
    measurements {}
    metadata { error: "text" }
}

pub(crate) struct Events {
    started: Emitter,
    complete: Emitter,
    failed: Emitter,
    alert: Emitter,
    baseline: Emitter,
    changed: Emitter,
    rule_changed: Emitter,
    enabled: Emitter,
    rolled_back: Emitter,
    emergency: Emitter,
    expired: Emitter,
    unknown: Emitter,
    file_failed: Emitter,
    file_refused: Emitter,
    pub(crate) shadow: shadow::Told,
}

impl Events {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            started: telemetry.emitter(MIGRATION_START),
            complete: telemetry.emitter(MIGRATION_COMPLETE),
            failed: telemetry.emitter(MIGRATION_FAILED),
            alert: telemetry.emitter(ALERT),
            baseline: telemetry.emitter(BASELINE),
            changed: telemetry.emitter(FLAG_CHANGED),
            rule_changed: telemetry.emitter(RULE_CHANGED),
            enabled: telemetry.emitter(STAGE_ENABLED),
            rolled_back: telemetry.emitter(ROLLED_BACK),
            emergency: telemetry.emitter(EMERGENCY),
            expired: telemetry.emitter(EXPIRED),
            unknown: telemetry.emitter(UNKNOWN_IN_FILE),
            file_failed: telemetry.emitter(FILE_FAILED),
            file_refused: telemetry.emitter(FILE_REFUSED),
            shadow: shadow::Told::new(telemetry),
        }
    }

    pub(crate) fn changed(&self, plan: Option<&MigrationPlan>, change: &Change) {
        let Change { version, by, why, .. } = change;
        let who = || fields! { by: Arc::clone(by), why: Arc::clone(why) };
        match change.what {
            What::Advanced { from, to } => {
                let of_all = |plan: &MigrationPlan| {
                    let about = fields! { plan: plan.name, by: Arc::clone(by), why: Arc::clone(why) };
                    (fields! { stages: plan.stages.len(), version: *version }, about)
                };
                if let Some(plan) = plan.filter(|_| from == 0) {
                    self.started.emit(|| of_all(plan));
                }
                self.enabled.emit(|| (fields! { stage: to, version: *version }, who()));
                if let Some(plan) = plan.filter(|plan| to == plan.stages.len()) {
                    self.complete.emit(|| of_all(plan));
                }
            }
            What::RolledBack { from, to } => {
                self.rolled_back.emit(|| (fields! { from_stage: from, to_stage: to, version: *version }, who()))
            }
            What::Emergency { from } => self
                .emergency
                .emit(|| (fields! { from_stage: from, version: *version }, fields! { reason: Arc::clone(why) })),
            What::BaselineStarted | What::BaselineFinished => {
                let finished = change.what == What::BaselineFinished;
                let about = || fields! { finished: finished, by: Arc::clone(by), why: Arc::clone(why) };
                self.baseline.emit(|| (fields! { version: *version }, about()));
            }
            What::Set
            | What::Reset
            | What::Undone(_)
            | What::Reloaded
            | What::Early
            | What::Held(_)
            | What::Released(_) => {}
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

    pub(crate) fn expired(&self, flag: &Flag) {
        self.expired.emit(|| {
            let expires = flag.expiry().map_or_else(String::new, |expiry| expiry.to_string());
            let owner = flag.owned_by().map(|owner| ("owner", owner.into()));
            (fields! {}, fields! { flag: flag.name(), expires: expires }.into_iter().chain(owner).collect())
        });
    }

    pub(crate) fn unknown(&self, flag: &Arc<str>) {
        self.unknown.emit(|| (fields! {}, fields! { flag: Arc::clone(flag) }));
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Failed { from, to, by, reason } => self.failed.emit(|| {
                let about = fields! { by: Arc::clone(by), reason: Arc::clone(reason) };
                (fields! { from_stage: *from, to_stage: *to }, about)
            }),
            Notice::Alert { figure, level, value, limit, stage, reason } => self.alert.emit(|| {
                let level = level.to_string();
                let about = fields! { figure: Arc::clone(figure), level: level, reason: Arc::clone(reason) };
                (fields! { value: *value, limit: *limit, stage: *stage }, about)
            }),
        }
    }

    pub(crate) fn file(&self, news: &News) {
        let (emitter, error) = match news {
            News::Failed(error) => (&self.file_failed, error),
            News::Refused(error) => (&self.file_refused, error),
        };
        emitter.emit(|| (fields! {}, fields! { error: Arc::clone(error) }));
    }
}
