//! On which cores the two threads of a call run: that decides what it takes, for us as for the reference.

/// Where who asks and who answers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Where the system puts them.
    Any,
    /// On the same one.
    One,
    /// Each on its own.
    Two,
}

impl Cores {
    /// For who asks.
    pub(crate) fn first(self) -> Option<usize> {
        (self != Self::Any).then_some(0)
    }

    /// For who answers.
    pub(crate) fn second(self) -> Option<usize> {
        match self {
            Self::Any => None,
            Self::One => Some(0),
            Self::Two => Some(1),
        }
    }

    /// Whether this machine can keep threads there.
    pub(crate) fn can_be_had(self) -> bool {
        self == Self::Any || allowed().len() > usize::from(self == Self::Two)
    }
}

/// Keeps the calling thread on this one of the cores that the process may use.
pub(crate) fn stay(on: Option<usize>) {
    if let Some(core) = on.and_then(|nth| allowed().get(nth).copied()) {
        keep(core);
    }
}

#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    // Of the process's first thread, which nothing here keeps anywhere.
    let all = sched_getaffinity(Some(rustix::process::getpid())).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect()
}

#[cfg(target_os = "linux")]
fn keep(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).expect("it is one of those that are allowed");
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn keep(_: usize) {}
