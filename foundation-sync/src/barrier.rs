//! A barrier in two halves: one is for what happens often and costs next to nothing, the other one pays for both.
//!
//! Two threads that each write, go through one half, and read what the other one writes: at least one of them sees the
//! other's write. On Linux the heavy half has the system put a barrier on every thread of the process that runs
//! (`membarrier`), and the light half only keeps the compiler from turning the write and the read round. Elsewhere, and
//! in models, each is a fence.

use crate::{atomic::Ordering, fence, planted};

pub(crate) struct Barrier {
    /// Whether the system does the light half's part.
    system: bool,
}

impl Barrier {
    pub(crate) fn new() -> Self {
        Self { system: system::can() }
    }

    /// Before the look of whoever does something often.
    #[inline]
    pub(crate) fn light(&self) {
        if self.system {
            system::compiler();
        } else if !planted!("barrier: the light half is nothing") {
            // ordering: SeqCst, pairs with the fence in `heavy`.
            fence(Ordering::SeqCst);
        }
    }

    /// Before the look of whoever seldom looks. The first in a process takes some milliseconds, the others less than one
    /// microsecond.
    pub(crate) fn heavy(&self) {
        // ordering: SeqCst, pairs with the fence in `light`.
        fence(Ordering::SeqCst);
        if self.system {
            system::all_threads();
        }
    }
}

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
mod system {
    use std::sync::atomic::{Ordering, compiler_fence};

    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    const OURS: MembarrierCommand = MembarrierCommand::PrivateExpedited;
    const REGISTER: MembarrierCommand = MembarrierCommand::RegisterPrivateExpedited;

    pub(super) fn can() -> bool {
        let can = membarrier_query();
        can.contains_command(OURS) && can.contains_command(REGISTER)
    }

    #[inline]
    pub(super) fn compiler() {
        // ordering: SeqCst, for the compiler; the processor's part is done by `all_threads`.
        compiler_fence(Ordering::SeqCst);
    }

    /// A process registers before it asks for the first time: not when it begins, for with many threads that takes
    /// milliseconds, and many processes never wait.
    pub(super) fn all_threads() {
        let done = membarrier(OURS).or_else(|_| {
            membarrier(REGISTER)?;
            membarrier(OURS)
        });
        // It said that it can. If it refuses since, by a filter for instance, the slow one is left; and if that is refused,
        // too, who waits may hear late: at the deadline, when it looks once more.
        _ = done.or_else(|_| membarrier(MembarrierCommand::Global));
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_system_that_says_that_it_can_put_a_barrier_on_all_threads_does() {
            if can() {
                all_threads();
                assert_eq!(membarrier(OURS), Ok(()), "the process is registered");
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle)))))]
mod system {
    pub(super) fn can() -> bool {
        false
    }

    pub(super) fn compiler() {}

    pub(super) fn all_threads() {}
}
