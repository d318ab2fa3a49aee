//! What `cargo xtask ci --only door` measures: each primitive through the door, and the library behind it directly.
//!
//! `door list` says which rows there are; `door run ROW ours N` and `door run ROW direct N` do one N times, for a tool that
//! counts instructions; `door time ROW` says how many nanoseconds each takes, median of rounds by turns. The map is not
//! among them: it is our own, and `benches/map.rs` has it beside others.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the references: what is behind the door")]

use std::{
    hint::black_box,
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, OnceLock, atomic},
    time::Duration,
};

use arc_swap::{ArcSwap, Cache};
use foundation_sync::{Clock, Condvar, Mutex, Once, Snapshot, atomic as door_atomic, thread};

/// One primitive, both ways: what is done so many times.
struct Row {
    name: &'static str,
    /// How often it is done for a count.
    times: u64,
    /// Instructions that ours may take more, whatever the ratio says, and why.
    allowance: (u32, &'static str),
    ours: fn(u64),
    direct: fn(u64),
}

const NONE: (u32, &str) = (0, "");

const ROWS: &[Row] = &[
    Row { name: "mutex: lock and unlock", times: 10_000, allowance: NONE, ours: mutex::ours, direct: mutex::direct },
    Row { name: "mutex: try to lock", times: 10_000, allowance: NONE, ours: try_lock::ours, direct: try_lock::direct },
    Row {
        name: "condvar: notify one, nobody waits",
        times: 10_000,
        allowance: NONE,
        ours: notify_one::ours,
        direct: notify_one::direct,
    },
    Row {
        name: "condvar: notify all, nobody waits",
        times: 10_000,
        allowance: NONE,
        ours: notify_all::ours,
        direct: notify_all::direct,
    },
    Row {
        name: "condvar: wait until a deadline",
        times: 2_000,
        allowance: (20, "a look whose time it goes by, and a count, so that to notify nobody is one look"),
        ours: wait::ours,
        direct: wait::direct,
    },
    Row { name: "snapshot: load", times: 10_000, allowance: NONE, ours: load::ours, direct: load::direct },
    Row { name: "snapshot: cached load", times: 10_000, allowance: NONE, ours: cached::ours, direct: cached::direct },
    Row { name: "snapshot: store", times: 10_000, allowance: NONE, ours: store::ours, direct: store::direct },
    Row { name: "snapshot: swap", times: 10_000, allowance: NONE, ours: swap::ours, direct: swap::direct },
    Row { name: "snapshot: update", times: 10_000, allowance: NONE, ours: update::ours, direct: update::direct },
    Row { name: "atomic: load", times: 10_000, allowance: NONE, ours: atomic_load::ours, direct: atomic_load::direct },
    Row { name: "atomic: add", times: 10_000, allowance: NONE, ours: atomic_add::ours, direct: atomic_add::direct },
    Row { name: "once: get", times: 10_000, allowance: NONE, ours: once_get::ours, direct: once_get::direct },
    Row {
        name: "once: get or make",
        times: 10_000,
        allowance: NONE,
        ours: once_get_or::ours,
        direct: once_get_or::direct,
    },
    Row { name: "once: new and set", times: 10_000, allowance: NONE, ours: once_set::ours, direct: once_set::direct },
    Row { name: "thread: spawn and join", times: 200, allowance: NONE, ours: spawn::ours, direct: spawn::direct },
];

/// Two functions that differ in what they call only.
macro_rules! both {
    ($name:ident, $n:ident, $ours:block, $direct:block) => {
        mod $name {
            use super::*;

            #[inline(never)]
            pub(super) fn ours($n: u64) $ours

            #[inline(never)]
            pub(super) fn direct($n: u64) $direct
        }
    };
}

fn times(n: u64, mut once: impl FnMut()) {
    (0..n).for_each(|_| once());
}

both!(
    mutex,
    n,
    {
        let lock = Mutex::new(0_u64);
        times(n, || *black_box(&lock).lock() += 1);
    },
    {
        let lock = parking_lot::Mutex::new(0_u64);
        times(n, || *black_box(&lock).lock() += 1);
    }
);
both!(
    try_lock,
    n,
    {
        let lock = Mutex::new(0_u64);
        times(n, || {
            if let Some(mut there) = black_box(&lock).try_lock() {
                *there += 1;
            }
        });
    },
    {
        let lock = parking_lot::Mutex::new(0_u64);
        times(n, || {
            if let Some(mut there) = black_box(&lock).try_lock() {
                *there += 1;
            }
        });
    }
);
both!(
    wait,
    n,
    {
        // One that has passed, so that every wait ends: what is counted is the way into it and out.
        let (lock, condvar) = (Mutex::new(()), Condvar::new());
        let until = Clock::system().within(Duration::from_nanos(1));
        let mut guard = Some(lock.lock());
        times(n, || guard = guard.take().map(|guard| black_box(&condvar).wait(guard, &until)));
    },
    {
        let (lock, condvar) = (parking_lot::Mutex::new(()), parking_lot::Condvar::new());
        let until = std::time::Instant::now() + Duration::from_nanos(1);
        let mut guard = lock.lock();
        times(n, || _ = black_box(&condvar).wait_until(&mut guard, until));
    }
);
both!(
    notify_one,
    n,
    {
        let condvar = Condvar::new();
        times(n, || black_box(&condvar).notify_one());
    },
    {
        let condvar = parking_lot::Condvar::new();
        times(n, || _ = black_box(&condvar).notify_one());
    }
);
both!(
    notify_all,
    n,
    {
        let condvar = Condvar::new();
        times(n, || black_box(&condvar).notify_all());
    },
    {
        let condvar = parking_lot::Condvar::new();
        times(n, || _ = black_box(&condvar).notify_all());
    }
);
both!(
    load,
    n,
    {
        let cell = Snapshot::new(1_u64);
        times(n, || _ = black_box(black_box(&cell).load()));
    },
    {
        let cell = ArcSwap::from_pointee(1_u64);
        times(n, || _ = black_box(black_box(&cell).load_full()));
    }
);
both!(
    cached,
    n,
    {
        let cell = Snapshot::new(1_u64);
        let mut reader = cell.cached();
        times(n, || _ = black_box(black_box(&mut reader).load()));
    },
    {
        let cell = ArcSwap::from_pointee(1_u64);
        let mut reader = Cache::new(&cell);
        times(n, || _ = black_box(black_box(&mut reader).load()));
    }
);
both!(
    store,
    n,
    {
        let (cell, value) = (Snapshot::new(1_u64), Arc::new(2));
        times(n, || black_box(&cell).store(Arc::clone(&value)));
    },
    {
        let (cell, value) = (ArcSwap::from_pointee(1_u64), Arc::new(2));
        times(n, || black_box(&cell).store(Arc::clone(&value)));
    }
);
both!(
    swap,
    n,
    {
        let (cell, value) = (Snapshot::new(1_u64), Arc::new(2));
        times(n, || _ = black_box(black_box(&cell).swap(Arc::clone(&value))));
    },
    {
        let (cell, value) = (ArcSwap::from_pointee(1_u64), Arc::new(2));
        times(n, || _ = black_box(black_box(&cell).swap(Arc::clone(&value))));
    }
);
both!(
    update,
    n,
    {
        let cell = Snapshot::new(1_u64);
        times(n, || _ = black_box(black_box(&cell).update(|now| Ok::<_, ()>(now + 1))));
    },
    {
        // arc-swap's own `rcu` returns the old value only.
        let cell = ArcSwap::from_pointee(1_u64);
        times(n, || {
            let mut new = None;
            let old = black_box(&cell).rcu(|now| Arc::clone(new.insert(Arc::new(**now + 1))));
            _ = black_box((old, new));
        });
    }
);
both!(
    atomic_load,
    n,
    {
        let word = door_atomic::AtomicU64::new(1);
        times(n, || _ = black_box(black_box(&word).load(door_atomic::Ordering::Relaxed)));
    },
    {
        let word = atomic::AtomicU64::new(1);
        times(n, || _ = black_box(black_box(&word).load(atomic::Ordering::Relaxed)));
    }
);
both!(
    atomic_add,
    n,
    {
        let word = door_atomic::AtomicU64::new(1);
        times(n, || _ = black_box(black_box(&word).fetch_add(1, door_atomic::Ordering::Relaxed)));
    },
    {
        let word = atomic::AtomicU64::new(1);
        times(n, || _ = black_box(black_box(&word).fetch_add(1, atomic::Ordering::Relaxed)));
    }
);
both!(
    once_get,
    n,
    {
        let cell = Once::new();
        _ = cell.set(1_u64);
        times(n, || _ = black_box(black_box(&cell).get()));
    },
    {
        let cell = OnceLock::new();
        _ = cell.set(1_u64);
        times(n, || _ = black_box(black_box(&cell).get()));
    }
);
both!(
    once_get_or,
    n,
    {
        let cell = Once::new();
        times(n, || _ = black_box(black_box(&cell).get_or(|| 1_u64)));
    },
    {
        let cell = OnceLock::new();
        times(n, || _ = black_box(black_box(&cell).get_or_init(|| 1_u64)));
    }
);
both!(
    once_set,
    n,
    {
        times(n, || {
            let cell = Once::new();
            _ = black_box(&cell).set(black_box(1_u64));
        });
    },
    {
        times(n, || {
            let cell = OnceLock::new();
            _ = black_box(&cell).set(black_box(1_u64));
        });
    }
);
both!(
    spawn,
    n,
    {
        times(n, || {
            let thread = thread::Builder::new("a thread").spawn(|| {}).expect("there is room for one");
            thread.join().expect("it does not panic");
        });
    },
    {
        times(n, || {
            let builder = std::thread::Builder::new().name("a thread".to_owned());
            let thread = builder.spawn(|| {}).expect("there is room for one");
            thread.join().expect("it does not panic");
        });
    }
);

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let row = |name: &str| ROWS.iter().find(|row| row.name == name);
    let said = match words[..] {
        ["list"] => ROWS
            .iter()
            .map(|row| format!("{}\t{}\t{}\t{}\n", row.name, row.times, row.allowance.0, row.allowance.1))
            .collect(),
        ["run", name, way, n] => {
            let (Some(row), Ok(n)) = (row(name), n.parse()) else { return ExitCode::from(2) };
            match way {
                "ours" => (row.ours)(n),
                _ => (row.direct)(n),
            }
            String::new()
        }
        ["time", name] => {
            let Some(row) = row(name) else { return ExitCode::from(2) };
            let (ours, direct) = time(row);
            format!("{ours}\t{direct}\n")
        }
        _ => return ExitCode::from(2),
    };
    match io::stdout().write_all(said.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Nanoseconds for one, ours and direct.
fn time(row: &Row) -> (f64, f64) {
    const ROUNDS: usize = 31;
    const ROUND: u64 = 2_000_000;
    let clock = Clock::system();
    let took = |work: fn(u64), n: u64| {
        let begun = clock.now();
        work(n);
        clock.now() - begun
    };
    // So many that a round takes a few milliseconds.
    let mut n = 8;
    while took(row.direct, n) < ROUND {
        n *= 2;
    }
    let mut rounds = [(); ROUNDS].map(|()| (took(row.ours, n), took(row.direct, n)));
    let mut median = |of: fn(&(u64, u64)) -> u64| {
        rounds.sort_by_key(of);
        of(&rounds[ROUNDS / 2]) as f64 / n as f64
    };
    (median(|round| round.0), median(|round| round.1))
}
