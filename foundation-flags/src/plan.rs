//! A migration's stages, in order.

use std::fmt;

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
}

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) flags: Vec<Flag>,
}

impl MigrationPlan {
    /// A plan without stages.
    pub const fn new(name: &'static str) -> Self {
        Self { name, stages: Vec::new(), monitored_by: None, enforced_by: None }
    }

    /// One more stage, which turns these flags on in addition to those of the stages before it.
    pub fn stage(mut self, name: &'static str, flags: &[Flag]) -> Self {
        self.stages.push(Stage { name, flags: flags.to_vec() });
        self
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
