//! A migration's stages, in order.

use std::{fmt, time::Duration};

use crate::Flag;

/// An ordered list of stages, each of which turns flags on. At a stage the flags of all stages up to it are on and the
/// others of the plan are off: the *complete* vector, not a difference. Stage 0, before the first, has all of them off.
///
/// ```
/// use foundation_flags::{Flag, MigrationPlan};
///
/// const SHADOW: Flag = Flag::off("checkout_shadow");
/// const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
///
/// let plan = MigrationPlan::new("checkout").stage("watch", &[SHADOW]).stage("switch", &[NEW_CHECKOUT]);
/// assert_eq!(plan.to_string(), "checkout: 1 watch (checkout_shadow), 2 switch (new_checkout)");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a plan does nothing until it is given to flags"]
pub struct MigrationPlan {
    pub(crate) name: &'static str,
    pub(crate) stages: Vec<Stage>,
    pub(crate) monitored_by: Option<Flag>,
    pub(crate) enforced_by: Option<Flag>,
    pub(crate) cool_down: Duration,
}

/// How long nothing is tried again after a rollback, if a plan does not say.
const COOL_DOWN: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) flags: Vec<Flag>,
    pub(crate) observe_for: Duration,
}

impl MigrationPlan {
    /// A plan without stages. After a rollback it cools down for an hour.
    pub const fn new(name: &'static str) -> Self {
        Self { name, stages: Vec::new(), monitored_by: None, enforced_by: None, cool_down: COOL_DOWN }
    }

    /// One more stage, which turns these flags on in addition to those of the stages before it.
    pub fn stage(mut self, name: &'static str, flags: &[Flag]) -> Self {
        self.stages.push(Stage { name, flags: flags.to_vec(), observe_for: Duration::ZERO });
        self
    }

    /// How long the stage that was added last is observed before the next one: until then
    /// [`advance_to`](crate::Flags::advance_to) is refused, unless [`early`](crate::Flags::early) is said. Not at all if it
    /// is not said; nothing where no stage was added. Where a flag that works at this stage was held, the time begins when
    /// it is [released](crate::Flags::release).
    pub fn observe_for(mut self, span: Duration) -> Self {
        if let Some(stage) = self.stages.last_mut() {
            stage.observe_for = span;
        }
        self
    }

    /// How long no stage is tried again after a rollback, whoever made it; an hour if it is not said.
    pub const fn cool_down(mut self, span: Duration) -> Self {
        self.cool_down = span;
        self
    }

    /// The same stages with no time between them and none after a rollback: for tests and demonstrations.
    pub fn without_waiting(mut self) -> Self {
        self.stages.iter_mut().for_each(|stage| stage.observe_for = Duration::ZERO);
        self.cool_down(Duration::ZERO)
    }

    /// Its stages in order, from 1 on: the name of each, and the flags that it adds.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, &[Flag])> {
        self.stages.iter().map(|stage| (stage.name, &*stage.flags))
    }

    /// Guards judge only while this flag of the plan is on. Without one they always do.
    pub fn monitored_by(mut self, flag: Flag) -> Self {
        self.monitored_by = Some(flag);
        self
    }

    /// While this flag of the plan is on nothing goes back to an old implementation but by a rollback: a
    /// [`hold`](crate::Flags::hold) is refused.
    pub fn enforced_by(mut self, flag: Flag) -> Self {
        self.enforced_by = Some(flag);
        self
    }
}

impl fmt::Display for MigrationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        for (at, stage) in self.stages.iter().enumerate() {
            let flags: Vec<_> = stage.flags.iter().map(Flag::name).collect();
            write!(f, "{} {} {} ({})", if at > 0 { "," } else { "" }, at + 1, stage.name, flags.join(", "))?;
        }
        Ok(())
    }
}
