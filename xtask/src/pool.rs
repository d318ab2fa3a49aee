//! Jobs side by side: as many at a time as the machine has cores.

use std::{
    num::NonZero,
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Does each job once, in their order, and returns what came of them, in any.
#[expect(clippy::disallowed_methods, reason = "xtask depends on none of our crates, so it has no threads of ours")]
pub(crate) fn each<'a, J: Sync, R: Send>(jobs: &'a [J], work: impl Fn(&'a J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        // ordering: Relaxed, for it only counts: the jobs were there before the workers.
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(job));
        }
        done
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(jobs.len())).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn each_job_is_done_once() {
        let jobs: Vec<_> = (0..100).collect();
        let mut done = each(&jobs, |job| job * 2);
        done.sort_unstable();
        assert_eq!(done, jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
        assert!(each(&[], |job: &u8| *job).is_empty());
    }
}
