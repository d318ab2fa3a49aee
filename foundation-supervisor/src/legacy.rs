//! A universe that starts from the old implementations: which flag governs which service.

use foundation_context::Contexts;
use foundation_flags::{
    FailureGuard, Flags, MigrationPlan, USE_EVENT_DEDUP, USE_PROPAGATED_CONTEXT, USE_SHARED_REGISTRY, USE_SPAN_MANAGER,
    USE_TELEMETRY_SERVICE,
};
use foundation_registry::{Address, Registry};
use foundation_sync::{Activity, Clock, Errands, Timekeeper};
use foundation_telemetry::Telemetry;

/// What a builder was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    pub(crate) from_legacy: bool,
    pub(crate) guard: Option<FailureGuard>,
}

/// The parts that are governed, and what the flags need.
pub(crate) struct Surroundings<'a> {
    pub(crate) activity: &'a Activity,
    pub(crate) clock: &'a Clock,
    pub(crate) contexts: &'a Contexts,
    pub(crate) errands: &'a Errands,
    pub(crate) registry: &'a Registry<Address>,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) timekeeper: &'a Timekeeper,
}

impl Start {
    /// The flags, at stage 0, with every service switched to its old implementation.
    pub(crate) fn migration(self, parts: &Surroundings<'_>) -> Option<Flags> {
        if !self.from_legacy {
            return None;
        }
        let telemetry = parts.telemetry.switches();
        let builder = Flags::builder()
            .plan(MigrationPlan::foundation())
            .bind(&USE_SHARED_REGISTRY, parts.registry.switch())
            .bind(&USE_PROPAGATED_CONTEXT, parts.contexts.switch())
            .bind(&USE_TELEMETRY_SERVICE, &telemetry.service)
            .bind(&USE_SPAN_MANAGER, &telemetry.spans)
            .bind(&USE_EVENT_DEDUP, &telemetry.dedup)
            .clock(parts.clock)
            .telemetry(parts.telemetry)
            .activity(parts.activity)
            .errands(parts.errands)
            .timekeeper(parts.timekeeper);
        let builder = match self.guard.filter(|_| !parts.errands.runs_here()) {
            Some(guard) => builder.guard(guard),
            None => builder,
        };
        Some(builder.start().expect("the workspace's own flags fit together, and there is no file"))
    }
}
