//! What is told of decisions: from the courier, in their order, each once.

use std::sync::Arc;

use foundation_context::fields;
use foundation_telemetry::{Emitter, Telemetry, events};

use crate::{Change, Flag, Said, What, store::News};

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

    /// Flags were started, and by the clock the day has come on which this one was to be gone from the source.
    pub const EXPIRED = ["foundation", "flags", "expired"];
    measurements {}
    metadata { flag: "text", expires: "day", owner: "text" if "one was declared" }

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
    changed: Emitter,
    rule_changed: Emitter,
    enabled: Emitter,
    rolled_back: Emitter,
    emergency: Emitter,
    expired: Emitter,
    file_failed: Emitter,
    file_refused: Emitter,
}

impl Events {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            changed: telemetry.emitter(FLAG_CHANGED),
            rule_changed: telemetry.emitter(RULE_CHANGED),
            enabled: telemetry.emitter(STAGE_ENABLED),
            rolled_back: telemetry.emitter(ROLLED_BACK),
            emergency: telemetry.emitter(EMERGENCY),
            expired: telemetry.emitter(EXPIRED),
            file_failed: telemetry.emitter(FILE_FAILED),
            file_refused: telemetry.emitter(FILE_REFUSED),
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
            What::Set | What::Reset | What::Undone(_) | What::Reloaded | What::Held(_) | What::Released(_) => {}
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

    pub(crate) fn file(&self, news: &News) {
        let (emitter, error) = match news {
            News::Failed(error) => (&self.file_failed, error),
            News::Refused(error) => (&self.file_refused, error),
        };
        emitter.emit(|| (fields! {}, fields! { error: Arc::clone(error) }));
    }
}
