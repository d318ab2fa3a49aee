//! The queue and the mailbox beside crossbeam-channel: values through a bounded one, from 1, 2 and 8 senders, and there
//! and back between two threads.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(clippy::disallowed_methods, reason = "the reference, threads to drive it, and the clock of the bench")
)]

#[cfg(not(any(loom, shuttle)))]
mod real {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
    use foundation_sync::{Deadline, Full, Mailbox, Queue};

    const VALUES: usize = 32_000;
    const CAPACITY: usize = 1024;

    /// The time that it takes to bring so many values from so many senders to this thread, once they run.
    fn cast(senders: usize, send: impl Fn(usize) + Clone + Send, mut recv: impl FnMut() -> usize) -> Duration {
        thread::scope(|scope| {
            for _ in 0..senders {
                let send = send.clone();
                scope.spawn(move || (0..=VALUES / senders).for_each(send));
            }
            (0..senders).for_each(|_| _ = recv());
            let running = Instant::now();
            (0..VALUES).for_each(|_| _ = std::hint::black_box(recv()));
            running.elapsed()
        })
    }

    fn casts(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("cast");
        group.throughput(Throughput::Elements(VALUES as u64)).sample_size(20);
        for senders in [1, 2, 8] {
            group.bench_function(BenchmarkId::new("crossbeam", senders), |bench| {
                bench.iter_custom(|rounds| {
                    let round = |_| {
                        let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
                        cast(
                            senders,
                            move |value| sender.send(value).expect("it is open"),
                            || receiver.recv().expect("it is open"),
                        )
                    };
                    (0..rounds).map(round).sum()
                });
            });
            group.bench_function(BenchmarkId::new("mailbox", senders), |bench| {
                bench.iter_custom(|rounds| {
                    let round = |_| {
                        let (sender, mut mailbox) = Mailbox::bounded(CAPACITY, Full::Wait);
                        cast(
                            senders,
                            move |value| sender.send(value, Deadline::never()).expect("it is open"),
                            || mailbox.recv(Deadline::never()).expect("it is open"),
                        )
                    };
                    (0..rounds).map(round).sum()
                });
            });
            group.bench_function(BenchmarkId::new("queue", senders), |bench| {
                bench.iter_custom(|rounds| {
                    let round = |_| {
                        let queue = Queue::bounded(CAPACITY, Full::Wait);
                        let sender = queue.clone();
                        cast(
                            senders,
                            move |value| sender.send(value, Deadline::never()).expect("it is open"),
                            || queue.recv(Deadline::never()).expect("it is open"),
                        )
                    };
                    (0..rounds).map(round).sum()
                });
            });
        }
        group.finish();
    }

    /// There and back, from an asker to an echo that runs on another thread.
    fn there_and_back(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("there and back");
        group.sample_size(20);
        group.bench_function("crossbeam", |bench| {
            let (ask, asked) = crossbeam_channel::bounded::<usize>(CAPACITY);
            let (answer, answered) = crossbeam_channel::bounded(CAPACITY);
            let echo = thread::spawn(move || asked.iter().for_each(|value| answer.send(value).expect("it is open")));
            bench.iter(|| {
                ask.send(1).expect("it is open");
                answered.recv().expect("it is open")
            });
            drop(ask);
            echo.join().expect("it does not panic");
        });
        group.bench_function("mailbox", |bench| {
            let (ask, mut asked) = Mailbox::<usize>::bounded(CAPACITY, Full::Wait);
            let (answer, mut answered) = Mailbox::bounded(CAPACITY, Full::Wait);
            let echo = thread::spawn(move || {
                while let Ok(value) = asked.recv(Deadline::never()) {
                    answer.send(value, Deadline::never()).expect("it is open");
                }
            });
            bench.iter(|| {
                ask.send(1, Deadline::never()).expect("it is open");
                answered.recv(Deadline::never()).expect("it is open")
            });
            ask.close();
            echo.join().expect("it does not panic");
        });
        group.bench_function("queue", |bench| {
            let (ask, answer) = (Queue::<usize>::bounded(CAPACITY, Full::Wait), Queue::bounded(CAPACITY, Full::Wait));
            let (asked, answered) = (ask.clone(), answer.clone());
            let echo = thread::spawn(move || {
                while let Ok(value) = asked.recv(Deadline::never()) {
                    answer.send(value, Deadline::never()).expect("it is open");
                }
            });
            bench.iter(|| {
                ask.send(1, Deadline::never()).expect("it is open");
                answered.recv(Deadline::never()).expect("it is open")
            });
            ask.close();
            echo.join().expect("it does not panic");
        });
        group.finish();
    }

    criterion_group!(benches, casts, there_and_back);
}

#[cfg(not(any(loom, shuttle)))]
criterion::criterion_main!(real::benches);

/// A model measures nothing.
#[cfg(any(loom, shuttle))]
fn main() {}
