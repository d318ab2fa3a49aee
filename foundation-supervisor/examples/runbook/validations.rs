//! What has to be so at each stage.

use foundation_context::{self as context, Fields, fields};
use foundation_flags::{ChangeError, USE_SHARED_REGISTRY};
use foundation_supervisor::{Failure, Life};
use foundation_sync::thread;
use foundation_telemetry::MOST_WINDOWS;

use crate::{page::check, site::Site};

impl Site {
    /// What has to be so at the present stage.
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        match self.flags.status().stage {
            0 => check("nothing is on", self.flags_on() == 0, self.status()),
            1 => self.monitoring(),
            2 => self.registry(),
            3 => self.context(),
            4 => self.telemetry(),
            _ => self.enforcement(),
        }
    }

    /// Stage 1.
    pub(crate) fn monitoring(&self) -> Result<(), Failure> {
        check("one flag is on: no service has moved", self.flags_on() == 1, self.status())?;
        self.figures().map(drop)
    }

    /// Stage 2.
    pub(crate) fn registry(&self) -> Result<(), Failure> {
        self.check_name("the name registered before is found", "indexer", true)?;
        let (owner, _registration) = self.register("test_migration")?;
        let found = self.system.whereis("test_migration");
        check("a name registered now is found, and its owner's", found == Some(owner), owner)?;
        let listed = self.system.registry().entries();
        check("both are listed", listed.len() == 2, format!("{listed:?}"))?;
        self.lookup_latency().map(drop)
    }

    /// Stage 3.
    pub(crate) fn context(&self) -> Result<(), Failure> {
        let both = fields! { operation: "validation", step: "parse" };
        let new = self.nested_context()?;
        let expected = " error_context{operation=validation step=parse}";
        check("both records are found by `error_context`", new.logged == [expected; 2], expected)?;
        check("an event has the context of its emitter", new.event == both, &new.event)?;
        check("a job on another thread inherits it", new.inherited == both, &new.inherited)?;
        check("an error remembers where it was born", new.error == both, new.text)?;
        let left = [context::current().fields(), self.ask(|_| context::current().fields())?];
        check("nothing is left on either thread", left.iter().all(Fields::is_empty), format!("{left:?}"))?;
        self.context_overhead().map(drop)
    }

    /// Stage 4.
    pub(crate) fn telemetry(&self) -> Result<(), Failure> {
        let here = thread::id();
        self.validate_spans()?;
        let handler = self.queued_thread()?;
        check("a queued handler runs on another thread", handler != here, format!("{handler:?}, not {here:?}"))?;
        let before = self.system.telemetry().suppressed();
        let passed = self.emit_five()?;
        let suppressed = self.system.telemetry().suppressed() - before;
        let found = format!("{passed} passed, {suppressed} suppressed");
        check("of five events with one key one passes", (passed, suppressed) == (1, 4), found)?;
        let open = self.system.telemetry().windows_open();
        check("memory is bounded", open <= MOST_WINDOWS, format!("{open} windows of at most {MOST_WINDOWS}"))?;
        self.event_throughput().map(drop)
    }

    /// Stage 5. The indexer gets another life, so that nothing is left of the old way.
    pub(crate) fn enforcement(&self) -> Result<(), Failure> {
        let refused = self.flags.hold(&USE_SHARED_REGISTRY, "operator", "registry issues");
        let found = refused.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        check("a hold is refused", matches!(refused, Err(ChangeError::Enforced { .. })), found)?;
        let left = self.flags.status().old_guards;
        let expected = [(USE_SHARED_REGISTRY.name(), 1)];
        check(
            "at most the indexer's name is left of the old way",
            left.is_empty() || left == expected,
            format!("{left:?}"),
        )?;
        let before = self.ask(Life::incarnation)?;
        self.tree.terminate_child("indexer", self.soon())?;
        self.tree.restart_child("indexer", self.soon())?;
        let after = self.ask(Life::incarnation)?;
        check("the indexer has another life", after != before, format!("{before}, now {after}"))?;
        let complete = || self.flags.status().is_complete().then_some(());
        let complete = self.system.activity().wait_for(&self.soon(), complete);
        check("the migration is complete", complete.is_some(), self.status())
    }
}
