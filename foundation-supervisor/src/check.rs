//! What is refused before anything starts.

use std::{collections::HashSet, fmt, sync::Arc};

use crate::{AutoShutdown, ChildSpec, Restart, Supervisor, spec::Kind};

/// What is wrong with how a tree is described. OTP's `check_childspecs`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// A name is empty, or has one of the characters of which paths and the names of threads are made, `/` and `#`, or one
    /// that is not to be seen, such as the end of a line.
    BadName(Arc<str>),
    /// Two children of one supervisor have this name.
    DoubledName(Arc<str>),
    /// A permanent child never just ends, so its end can't end its supervisor.
    SignificantPermanent(Arc<str>),
    /// This child is significant, and its supervisor has no [`AutoShutdown`].
    SignificantForNothing(Arc<str>),
    /// A dynamic supervisor has no significant children and no [`AutoShutdown`].
    SignificantDynamic(Arc<str>),
    /// A heartbeat of no time at all.
    HeartbeatOfNothing(Arc<str>),
    /// A supervisor has no thread that could pass a checkpoint.
    HeartbeatOfSupervisor(Arc<str>),
    /// More children than the dynamic supervisor may have.
    TooManyChildren(Arc<str>),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => {
                write!(f, "`{name}` can't be a name: one is not empty, and has no `/`, no `#` and no control character")
            }
            Self::DoubledName(name) => write!(f, "two children are named `{name}`: a name is used once per supervisor"),
            Self::SignificantPermanent(name) => {
                write!(
                    f,
                    "`{name}` is significant and permanent, but a permanent child never just ends: make it transient"
                )
            }
            Self::SignificantForNothing(name) => {
                write!(f, "`{name}` is significant, but its supervisor has no auto-shutdown: say `.auto_shutdown(..)`")
            }
            Self::SignificantDynamic(name) => {
                write!(f, "`{name}`: a dynamic supervisor has no significant children and no auto-shutdown")
            }
            Self::HeartbeatOfNothing(name) => {
                write!(f, "`{name}` is to pass checkpoints within no time: say how long it may take between two")
            }
            Self::HeartbeatOfSupervisor(name) => {
                write!(f, "`{name}` is a supervisor and has no heartbeat: give one to its workers")
            }
            Self::TooManyChildren(name) => write!(f, "`{name}` is given more children than it may have"),
        }
    }
}

impl std::error::Error for SpecError {}

impl Supervisor {
    /// Whether it can be started as it is described, with all supervisors below. Nothing starts.
    ///
    /// # Errors
    /// [`SpecError`]: the first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let mut names = HashSet::new();
        named(&self.name)?;
        if let Some(most) = self.dynamic {
            if self.auto_shutdown != AutoShutdown::Never {
                return Err(SpecError::SignificantDynamic(Arc::clone(&self.name)));
            }
            if self.children.len() > most {
                return Err(SpecError::TooManyChildren(Arc::clone(&self.name)));
            }
        }
        for child in &self.children {
            if self.dynamic.is_none() && !names.insert(&child.name) {
                return Err(SpecError::DoubledName(Arc::clone(&child.name)));
            }
            if child.rules.significant && self.auto_shutdown == AutoShutdown::Never {
                return Err(match self.dynamic {
                    Some(_) => SpecError::SignificantDynamic(Arc::clone(&child.name)),
                    None => SpecError::SignificantForNothing(Arc::clone(&child.name)),
                });
            }
            child.check()?;
        }
        Ok(())
    }
}

impl ChildSpec {
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        named(&self.name)?;
        if self.rules.significant && self.rules.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent(Arc::clone(&self.name)));
        }
        match &self.making.kind {
            Kind::Supervisor(_) if self.rules.heartbeat.is_some() => {
                Err(SpecError::HeartbeatOfSupervisor(Arc::clone(&self.name)))
            }
            Kind::Supervisor(supervisor) => supervisor.check(),
            Kind::Worker(_) if self.rules.heartbeat == Some(0) => {
                Err(SpecError::HeartbeatOfNothing(Arc::clone(&self.name)))
            }
            Kind::Worker(_) => Ok(()),
        }
    }
}

fn named(name: &Arc<str>) -> Result<(), SpecError> {
    match name.is_empty() || name.contains(|letter: char| matches!(letter, '/' | '#') || letter.is_control()) {
        true => Err(SpecError::BadName(Arc::clone(name))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foundation_sync::SECOND;

    use super::*;
    use crate::Strategy;

    fn worker(name: &str) -> ChildSpec {
        ChildSpec::worker(name, |_| Ok(()))
    }

    fn tree(children: impl IntoIterator<Item = ChildSpec>) -> Supervisor {
        children.into_iter().fold(Supervisor::new("t", Strategy::OneForOne), Supervisor::child)
    }

    #[test]
    fn what_does_not_fit_together_is_refused_and_the_error_names_it() {
        let passing = |name| worker(name).restart(Restart::Transient).significant();
        let auto = |tree: Supervisor| tree.auto_shutdown(AutoShutdown::AnySignificant);
        let below = |tree| self::tree([ChildSpec::supervisor(tree)]);
        let dynamic = || Supervisor::dynamic("d", 1);
        for (tree, error) in [
            (tree([worker("a/b")]), SpecError::BadName("a/b".into())),
            (tree([worker("a#1")]), SpecError::BadName("a#1".into())),
            (tree([worker("a\nb")]), SpecError::BadName("a\nb".into())),
            (tree([worker("")]), SpecError::BadName("".into())),
            (tree([worker("a").heartbeat_within(Duration::ZERO)]), SpecError::HeartbeatOfNothing("a".into())),
            (Supervisor::new("", Strategy::OneForOne), SpecError::BadName("".into())),
            (below(tree([worker("a"), worker("a")])), SpecError::DoubledName("a".into())),
            (auto(tree([worker("a").significant()])), SpecError::SignificantPermanent("a".into())),
            (tree([passing("a")]), SpecError::SignificantForNothing("a".into())),
            (auto(dynamic()), SpecError::SignificantDynamic("d".into())),
            (dynamic().child(passing("a")), SpecError::SignificantDynamic("a".into())),
            (dynamic().child(worker("a")).child(worker("b")), SpecError::TooManyChildren("d".into())),
            (
                tree([ChildSpec::supervisor(dynamic()).heartbeat_within(SECOND)]),
                SpecError::HeartbeatOfSupervisor("d".into()),
            ),
        ] {
            assert_eq!(tree.check(), Err(error.clone()));
            let name = format!("`{}`", if error.to_string().contains("`d`") { "d" } else { "a" });
            assert!(error.to_string().contains(&name) || error.to_string().contains("can't be a name"), "{error}");
        }
        for tree in [tree([worker("a"), worker("b")]), auto(tree([passing("a")])), dynamic().child(worker("a"))] {
            assert_eq!(tree.check(), Ok(()));
        }
    }

    /// OTP's, but for the intensity, which is Elixir's.
    #[test]
    fn what_is_not_said_is_as_in_otp() {
        let spec = worker("a");
        let supervisor = ChildSpec::supervisor(tree([]));
        assert_eq!(
            format!("{:?}", spec.rules),
            concat!(
                "Rules { restart: Permanent, ready: AtSpawn, stop_within: Some(5000000000), significant: false, ",
                "on_abandon: None, heartbeat: None, backoff: None, intensity: None }"
            )
        );
        assert_eq!(
            format!("{:?}", supervisor.rules),
            concat!(
                "Rules { restart: Permanent, ready: Within(None), stop_within: None, significant: false, ",
                "on_abandon: None, heartbeat: None, backoff: None, intensity: None }"
            )
        );
        assert_eq!(
            format!("{:?}", tree([]).plan()),
            concat!(
                "Plan { strategy: OneForOne, intensity: Intensity { restarts: 3, period: 5000000000 }, ",
                "auto_shutdown: Never, dynamic: None, most_abandoned: 8 }"
            )
        );
    }
}
