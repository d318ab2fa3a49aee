//! What each worker does besides counting while the system is migrated: it uses both sides, and looks whether every
//! promise is kept. What is not kept is noted, and the run fails.
//!
//! - no lookup fails for a name that this thread registered, none is held twice by one thread, and in the new way none by
//!   two;
//! - no context leaks from one file to the next;
//! - spans and repeated events go on whatever the mode. That each span is closed once is counted from outside.

use std::{sync::Arc, time::Duration};

use foundation_context::{Fields, InContext, current, fields, with};
use foundation_flags::Attempt;
use foundation_registry::{Address, RegisterError};
use foundation_supervisor::{Failure, Life};
use foundation_sync::{atomic::Ordering, thread};
use foundation_telemetry::Emitter;

use crate::{events, ledger::Job, migration::Migration};

/// For how long one event of a kind of file is enough.
const ONCE_PER: Duration = Duration::from_millis(100);

/// One life of a worker under migration.
pub(crate) struct Both<'a> {
    life: &'a Life,
    migration: &'a Migration,
    kind_seen: Emitter,
    own_name: String,
    base: Fields,
}

impl<'a> Both<'a> {
    /// Registers a name for the whole of this life.
    pub(crate) fn new(life: &'a Life, migration: &'a Migration) -> Result<Self, RegisterError> {
        let own_name = format!("life of {}", life.name());
        life.register(&own_name, ())?.keep();
        let kind_seen = life.system().telemetry().emitter(events::KIND_SEEN);
        Ok(Self { life, migration, kind_seen, own_name, base: current().fields() })
    }

    /// Runs one attempt between the two sides.
    pub(crate) fn attempt<R>(
        &self,
        job: &Job,
        about: &Fields,
        work: impl FnOnce() -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.see("a context leaked into the next file", current().fields() == self.base);
        self.see("the name of this life was lost", self.finds(&self.own_name));
        let kind: &str = job.path.extension().and_then(|extension| extension.to_str()).unwrap_or("none");
        self.kind_seen.emit_once_per(ONCE_PER, kind, || (fields! {}, fields! { kind: kind.to_owned() }));
        self.contend();
        while self.migration.faults() && !self.life.told() {
            self.fault(about);
        }
        let trial = self.migration.begin();
        let telemetry = self.life.system().telemetry();
        let mut span = telemetry.enter_span("attempt", about.clone());
        let outcome = telemetry.span("count", fields! {}, || self.named(job, about, work));
        match &outcome {
            Ok(_) => trial.into_iter().for_each(Attempt::succeeded),
            Err(failure) => span.fail(failure.to_string()),
        }
        outcome
    }

    /// An attempt that fails, and hurts nobody: it is made again.
    fn fault(&self, about: &Fields) {
        let _failed = self.migration.begin();
        let mut span = self.life.system().telemetry().enter_span("attempt", about.clone());
        let failed = with(fields! { fault: "injected" }, || Err::<(), _>(std::fmt::Error).in_context());
        if let Err(error) = failed {
            self.see("an error forgot its context", error.context().get("fault").is_some());
            span.fail(error.to_string());
        }
        // Whoever is to see that it fails has to get a turn.
        thread::yield_now();
    }

    /// Tries to get the name that all workers want. In the new way one has it at most, whoever had it before.
    fn contend(&self) {
        let (system, holders) = (self.life.system(), self.migration.holders());
        let before = system.registry().switch().epoch();
        let Ok(registration) = self.register("wanted by all") else { return };
        let others = holders.fetch_add(1, Ordering::SeqCst); // ordering: SeqCst, a count that is compared
        let new = before.is_on() && system.registry().switch().epoch() == before;
        self.see("a name was held by two threads", !new || others == 0);
        self.see("the name that all want is not found by who has it", self.finds("wanted by all"));
        holders.fetch_sub(1, Ordering::SeqCst); // ordering: SeqCst, the other half
        drop(registration);
    }

    /// Does the work under a name of its own, in nested contexts.
    fn named<R>(&self, job: &Job, about: &Fields, work: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
        let name: Arc<str> = format!("{} counts {}", self.life.name(), job.number).into();
        let registration = self.register(&name)?;
        self.see("a name that was registered is not found", self.finds(&name));
        let again = self.register(&name).map(drop);
        self.see("a name was held twice", matches!(again, Err(RegisterError::AlreadyRegistered { .. })));
        let step = fields! { step: "count" };
        let outcome = with(about.clone(), || {
            with(step.clone(), || {
                let all: Fields = self.base.iter().chain(about.iter()).chain(step.iter()).cloned().collect();
                self.see("a nested context is not what was nested", current().fields() == all);
                work()
            })
        });
        self.see("a name was lost while it was held", self.finds(&name));
        drop(registration);
        self.see("a name outlived its registration", self.life.system().whereis(&name).is_none());
        outcome
    }

    fn register(&self, name: &str) -> Result<foundation_registry::Registration, RegisterError> {
        self.life.system().registry().register(name, self.life.owner(), Address::new(()), Fields::new())
    }

    fn finds(&self, name: &str) -> bool {
        self.life.system().whereis(name) == Some(self.life.incarnation())
    }

    /// One who was given up has lost its names, and that is right.
    fn see(&self, otherwise: &str, kept: bool) {
        if !kept && !self.life.owner().fenced() {
            let stage = self.migration.flags().status().stage;
            self.migration.broken(format!("{}, near stage {stage}: {otherwise}", self.life.name()));
        }
    }
}
