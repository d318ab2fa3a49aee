//! A universe that starts from the old implementations: which flag governs which service.

use std::{fmt, sync::Arc};

use foundation_context::Contexts;
use foundation_flags::{
    FailureGuard, Flags, MigrationPlan, StartError, Thresholds, USE_EVENT_DEDUP, USE_PROPAGATED_CONTEXT,
    USE_SHARED_REGISTRY, USE_SPAN_MANAGER, USE_TELEMETRY_SERVICE,
};
use foundation_registry::{Address, Registry};
use foundation_sync::Clock;
use foundation_telemetry::Telemetry;

use crate::{WeakSystem, figures::measured};

/// What a builder was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    pub(crate) from_legacy: bool,
    pub(crate) without_waiting: bool,
    pub(crate) guard: Option<FailureGuard>,
    pub(crate) thresholds: Option<Thresholds>,
    pub(crate) checks: Vec<Check>,
    #[cfg(feature = "file")]
    pub(crate) file: Option<std::path::PathBuf>,
}

type Ready = dyn Fn(usize) -> Result<(), String> + Send + Sync;

/// Whether the program is ready for a stage: by name.
#[derive(Clone)]
pub(crate) struct Check(pub(crate) Arc<str>, pub(crate) Arc<Ready>);

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.0)
    }
}

impl Start {
    /// Guard and thresholds need a courier.
    pub(crate) fn without_guard(self) -> Self {
        Self { guard: None, thresholds: None, ..self }
    }

    /// The flags, with every service switched to the implementation that the stage says: 0, or what is found in the file.
    ///
    /// # Errors
    /// There is a file, and it is refused.
    pub(crate) fn migration(
        self,
        flags: foundation_flags::Builder,
        system: &WeakSystem,
        clock: &Clock,
        contexts: &Contexts,
        registry: &Registry<Address>,
        telemetry: &Telemetry,
    ) -> Result<Option<Flags>, StartError> {
        if !self.from_legacy {
            return Ok(None);
        }
        let plan = MigrationPlan::foundation();
        let plan = if self.without_waiting { plan.without_waiting() } else { plan };
        let flags = match self.thresholds {
            Some(thresholds) => measured(flags.thresholds(thresholds), system, clock, registry, telemetry),
            None => flags,
        };
        let ready =
            |flags: foundation_flags::Builder, Check(name, check)| flags.ready_when(&name, move |stage| check(stage));
        let flags = self.checks.into_iter().fold(flags, ready);
        let telemetry = telemetry.switches();
        let flags = flags
            .plan(plan)
            .bind(&USE_SHARED_REGISTRY, registry.switch())
            .bind(&USE_PROPAGATED_CONTEXT, contexts.switch())
            .bind(&USE_TELEMETRY_SERVICE, &telemetry.service)
            .bind(&USE_SPAN_MANAGER, &telemetry.spans)
            .bind(&USE_EVENT_DEDUP, &telemetry.dedup);
        let flags = match self.guard {
            Some(guard) => flags.guard(guard),
            None => flags,
        };
        #[cfg(feature = "file")]
        let flags = match self.file {
            Some(path) => flags.file(path),
            None => flags,
        };
        flags.start().map(Some)
    }
}
