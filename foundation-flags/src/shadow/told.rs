//! What is told of shadows: on the thread that found it, and so seldom that no hot path floods who listens.

use std::{sync::Arc, time::Duration};

use foundation_context::{Fields, fields};
use foundation_sync::SECOND;
use foundation_telemetry::{Emitter, Telemetry, events};

use super::{Finding, ShadowSample};

events! {
    /// The events of shadows.
    pub(crate) const ALL;

    /// A shadow's new implementation answered another thing than the old one. Once per second at most.
    pub const SHADOW_DIFFERENT = ["foundation", "shadow", "different"];
    measurements { different: "count", old_duration: "ns", new_duration: "ns" }
    metadata { flag: "text", id: "text" if "the call has one", old: "text", new: "text" }

    /// A shadow's new implementation panicked, or the comparison. Once per second at most.
    pub const SHADOW_PANICKED = ["foundation", "shadow", "panicked"];
    measurements { panicked: "count", old_duration: "ns" }
    metadata { flag: "text", id: "text" if "the call has one", old: "text", what: "text", said: "text" }
}

pub(crate) struct Told {
    different: Emitter,
    panicked: Emitter,
}

impl Told {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self { different: telemetry.emitter(SHADOW_DIFFERENT), panicked: telemetry.emitter(SHADOW_PANICKED) }
    }

    /// Whether somebody listens to such a finding.
    pub(super) fn heard(&self, finding: Finding) -> bool {
        match finding {
            Finding::Different => self.different.heard(),
            Finding::NewPanicked | Finding::ComparePanicked => self.panicked.heard(),
        }
    }

    /// The `count`th finding of its kind.
    pub(super) fn tell(&self, flag: &'static str, sample: &ShadowSample, count: u64) {
        let ShadowSample { finding, id, old, new, old_took, new_took, .. } = sample;
        let nanos = |span: &Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let called = |about: Fields| match id {
            Some(id) => about.iter().cloned().chain(fields! { id: Arc::clone(id) }.iter().cloned()).collect(),
            None => about,
        };
        let (old, new) = (|| Arc::clone(old), || Arc::clone(new));
        match finding {
            Finding::Different => self.different.emit_once_per(SECOND, flag, || {
                let new_took = new_took.as_ref().map_or(0, nanos);
                let figures = fields! { different: count, old_duration: nanos(old_took), new_duration: new_took };
                (figures, called(fields! { flag: flag, old: old(), new: new() }))
            }),
            Finding::NewPanicked | Finding::ComparePanicked => self.panicked.emit_once_per(SECOND, flag, || {
                let about = fields! { flag: flag, old: old(), what: finding.to_string(), said: new() };
                (fields! { panicked: count, old_duration: nanos(old_took) }, called(about))
            }),
        };
    }
}
