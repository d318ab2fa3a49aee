//! What a thread has from the one that made it.
//!
//! A supervisor's replacement is made by whoever turns the crank, the dying worker as a rule. What that one did to its own
//! thread must not become the replacement's.

use std::{error::Error, fmt, io};

/// What a new thread has from the one that makes it, on Linux: the processors that it may run on, the signals that it
/// blocks, its nice value. Elsewhere, and in models, nothing.
///
/// ```
/// use foundation_sync::thread::{Builder, Conditions};
///
/// let conditions = Conditions::of_this_thread();
/// let worker = Builder::new("worker").spawn(move || conditions.take_on().expect("they are its maker's, too"))?;
/// worker.join().expect("it did not panic");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conditions(here::Conditions);

impl Conditions {
    /// Those of the calling thread. What the system does not tell is left as it is by [`take_on`](Self::take_on): the
    /// processors of a machine with more than 1,024, for one.
    pub fn of_this_thread() -> Self {
        Self(here::Conditions::of_this_thread())
    }

    /// Makes them the calling thread's.
    ///
    /// # Errors
    /// The system refuses some of them; the others are taken on all the same. To lower a nice value takes a privilege.
    pub fn take_on(&self) -> Result<(), TakeOnError> {
        let mut refused = Vec::new();
        self.0.take_on(|what, error| refused.push((what, error)));
        if refused.is_empty() { Ok(()) } else { Err(TakeOnError(refused)) }
    }
}

/// On how many processors the process's first thread may run, if the calling one is pinned to one. If it is not, there is
/// another reason why it has one only, such as a quota, which is the process's, too.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn where_the_process_may_run() -> Option<usize> {
    here::where_the_process_may_run()
}

/// Which conditions the system refused.
#[derive(Debug)]
pub struct TakeOnError(Vec<(&'static str, io::Error)>);

impl fmt::Display for TakeOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (what, error)) in self.0.iter().enumerate() {
            write!(f, "{}its {what} can't be changed: {error}", if n > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl Error for TakeOnError {}

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
mod here {
    use std::io;

    use nix::sys::signal::SigSet;
    use rustix::{
        process::{getpid, getpriority_process, setpriority_process},
        thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    };

    // To Linux a process's number is that of its first thread.
    pub(super) fn where_the_process_may_run() -> Option<usize> {
        let count = |set: CpuSet| usize::try_from(set.count()).ok();
        let own = sched_getaffinity(None).ok().and_then(count)?;
        let first = sched_getaffinity(Some(getpid())).ok().and_then(count)?;
        (own == 1 && first > 1).then_some(first)
    }

    #[derive(Clone, Debug)]
    pub(super) struct Conditions {
        affinity: Option<CpuSet>,
        signals: Option<SigSet>,
        nice: Option<i32>,
    }

    impl Conditions {
        // To Linux a process's number is a thread's, and none is the calling thread.
        pub(super) fn of_this_thread() -> Self {
            Self {
                affinity: sched_getaffinity(None).ok(),
                signals: SigSet::thread_get_mask().ok(),
                nice: getpriority_process(None).ok(),
            }
        }

        pub(super) fn take_on(&self, mut refused: impl FnMut(&'static str, io::Error)) {
            let affinity = sched_getaffinity(None).ok();
            if let (Some(affinity), true) = (&self.affinity, self.affinity != affinity)
                && let Err(error) = sched_setaffinity(None, affinity)
            {
                refused("affinity", error.into());
            }
            if let (Some(nice), true) = (self.nice, self.nice != getpriority_process(None).ok())
                && let Err(error) = setpriority_process(None, nice)
            {
                refused("nice value", error.into());
            }
            // Set and not compared: to ask for it is as much of a call, and nobody is refused what it has.
            if let Some(signals) = &self.signals
                && let Err(error) = signals.thread_set_mask()
            {
                refused("signal mask", error.into());
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle)))))]
mod here {
    #[cfg(not(any(loom, shuttle)))]
    pub(super) fn where_the_process_may_run() -> Option<usize> {
        None
    }

    #[derive(Clone, Debug)]
    pub(super) struct Conditions;

    impl Conditions {
        pub(super) fn of_this_thread() -> Self {
            Self
        }

        pub(super) fn take_on(&self, _refused: impl FnMut(&'static str, std::io::Error)) {}
    }
}
