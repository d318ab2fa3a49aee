//! The queue beside crossbeam-channel: a thousand values through a bounded queue, from 1, 2 and 8 senders.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_methods, reason = "the reference, and threads to drive it")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
    use foundation_sync::{Deadline, Full, Queue};

    const VALUES: usize = 8_000;
    const CAPACITY: usize = 1024;

    fn ours(senders: usize) {
        let queue = Queue::bounded(CAPACITY, Full::Wait);
        std::thread::scope(|scope| {
            for _ in 0..senders {
                let queue = queue.clone();
                scope.spawn(move || {
                    (0..VALUES / senders).for_each(|value| queue.send(value, Deadline::never()).expect("it is open"));
                });
            }
            (0..VALUES).for_each(|_| _ = queue.recv(Deadline::never()).expect("it is open"));
        });
    }

    fn crossbeam(senders: usize) {
        let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
        std::thread::scope(|scope| {
            for _ in 0..senders {
                let sender = sender.clone();
                scope.spawn(move || {
                    (0..VALUES / senders).for_each(|value| sender.send(value).expect("it is open"));
                });
            }
            (0..VALUES).for_each(|_| _ = receiver.recv().expect("it is open"));
        });
    }

    fn cast(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("cast");
        group.throughput(Throughput::Elements(VALUES as u64)).sample_size(20);
        for senders in [1, 2, 8] {
            group.bench_function(BenchmarkId::new("foundation", senders), |bench| bench.iter(|| ours(senders)));
            group.bench_function(BenchmarkId::new("crossbeam", senders), |bench| bench.iter(|| crossbeam(senders)));
        }
        group.finish();
    }

    criterion_group!(benches, cast);
}

#[cfg(not(any(loom, shuttle)))]
criterion::criterion_main!(real::benches);

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
