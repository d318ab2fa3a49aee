//! What key locks promise.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Exit, KeyGuard, KeyLocks, LockError, LockNote, Owner, OwnerGuard, Owners, Registry};
use foundation_sync::{
    Activity, Clock, Deadline, Mutex, SECOND, Stop, VirtualTime,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread::JoinHandle,
};
use foundation_telemetry::Telemetry;
use foundation_testkit::{join, patience, spawn, wait_for};

fn who(id: u64) -> Incarnation {
    Incarnation { id, generation: 1 }
}

/// Locks, and so many owners: 1#1, 2#1, ..
fn locks<const N: usize>() -> (KeyLocks, [OwnerGuard; N]) {
    locks_by(&Clock::system())
}

fn locks_by<const N: usize>(clock: &Clock) -> (KeyLocks, [OwnerGuard; N]) {
    let owners = Owners::default();
    let lives = std::array::from_fn(|at| owners.begin(who(at as u64 + 1), "w"));
    (KeyLocks::new(clock), lives)
}

fn soon() -> Deadline {
    Clock::system().within(patience())
}

/// Who holds `k`, and who waits for it.
fn standing(locks: &KeyLocks) -> Option<(u64, Vec<u64>)> {
    let notes = locks.locks();
    let note = notes.iter().find(|note| &*note.key == "k")?;
    Some((note.owner.id, note.waiting.iter().map(|who| who.id).collect()))
}

/// Asks on a thread of its own, and returns when it stands in the line.
fn line_up(
    locks: &KeyLocks,
    owner: &Owner,
    until: Deadline,
    then: impl FnOnce(Result<KeyGuard, LockError>) + Send + 'static,
) -> JoinHandle<()> {
    let (same, asks) = (locks.clone(), owner.clone());
    let waits = spawn(move || then(same.lock("k", &asks, until)));
    wait_for(|| standing(locks).is_some_and(|(_, line)| line.contains(&owner.incarnation().id)));
    waits
}

#[test]
fn a_key_has_one_holder_and_is_forgotten_when_nobody_has_it() {
    let (locks, [first, second]) = locks();
    let guard = locks.lock("k", &first, soon()).expect("it is free");
    assert!(matches!(locks.try_lock("k", &second), Err(LockError::Taken(_))));
    let other = locks.try_lock("other", &second).expect("another key");
    assert_eq!(
        (first.claims(), second.claims(), second.names()),
        (1, 1, 0),
        "a refusal leaves nothing, a key is no name"
    );
    assert_eq!((&**guard.key(), guard.is_held(), locks.locks().len()), ("k", true, 2));
    drop(guard);
    assert_eq!(standing(&locks), None);
    let guard = locks.clone().try_lock("k", &second).expect("it is free again, to every handle");
    drop((guard, other));
    assert_eq!(locks.locks(), []);
    assert_eq!((first.claims(), second.claims()), (0, 0), "their owners keep nothing");
}

#[test]
fn keys_have_nothing_to_do_with_names() {
    let (owners, locks) = (Owners::default(), KeyLocks::new(&Clock::system()));
    let [first, second] = [1, 2].map(|id| owners.begin(who(id), "w"));
    let registry = Registry::new(&owners, &Telemetry::new());
    registry.register("k", &first, (), Fields::new()).expect("it is free").keep();
    let guard = locks.try_lock("k", &second).expect("nobody has locked it");
    assert_eq!(registry.lookup("k").map(|entry| entry.incarnation()), Some(who(1)));
    drop(guard);
    assert!(registry.lookup("k").is_some());
}

#[test]
fn a_panic_gives_the_key_on_and_poisons_nothing() {
    let (locks, [first, second]) = locks();
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _guard = locks.try_lock("k", &first).expect("it is free");
        resume_unwind(Box::new("why"));
    }));
    assert!(panics.is_err());
    let guard = locks.try_lock("k", &second).expect("it is free");
    assert!(guard.is_held());
}

#[test]
fn who_asks_first_has_it_first() {
    let (locks, owners) = locks::<6>();
    let guard = locks.try_lock("k", &owners[0]).expect("it is free");
    let order = Arc::new(Mutex::new(Vec::new()));
    let waits: Vec<_> = owners[1..]
        .iter()
        .map(|owner| {
            let (order, id) = (Arc::clone(&order), owner.incarnation().id);
            line_up(&locks, owner, soon(), move |locked| {
                let _guard = locked.expect("it comes");
                order.lock().push(id);
            })
        })
        .collect();
    assert_eq!(standing(&locks), Some((1, vec![2, 3, 4, 5, 6])));
    assert!(matches!(locks.try_lock("k", &owners[0]), Err(LockError::Yours(_))));
    drop(guard);
    waits.into_iter().for_each(join);
    assert_eq!((&**order.lock(), locks.locks()), (&[2, 3, 4, 5, 6][..], vec![]));
}

#[test]
fn a_key_with_a_line_is_never_free_to_somebody_else() {
    let (locks, [first, second, third]) = locks();
    let guard = locks.try_lock("k", &first).expect("it is free");
    let leave = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&leave);
    let waits = line_up(&locks, &second, soon(), move |locked| {
        let _guard = locked.expect("it comes");
        wait_for(|| told.load(SeqCst));
    });
    drop(guard);
    // Whether the next one has woken up or not.
    assert!(matches!(locks.try_lock("k", &third), Err(LockError::Taken(note)) if note.owner == who(2)));
    leave.store(true, SeqCst);
    join(waits);
}

#[test]
fn the_end_of_a_holder_gives_its_keys_on_before_its_down_is_out() {
    for exit in [Exit::Normal, Exit::Abandoned { waited: SECOND }] {
        let (locks, [first, second, third]) = locks();
        let late = locks.try_lock("k", &first).expect("it is free");
        let also = locks.try_lock("also", &first).expect("an owner may hold many");
        let (leave, entered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (told, enters) = (Arc::clone(&leave), Arc::clone(&entered));
        let waits = line_up(&locks, &second, soon(), move |locked| {
            let guard = locked.expect("it comes");
            enters.store(true, SeqCst);
            wait_for(|| told.load(SeqCst));
            assert!(guard.is_held());
        });
        let monitor = first.monitor();
        assert!(late.is_held() && also.is_held());
        let ends = spawn(move || drop(first.end(exit)));
        monitor.recv(soon()).expect("it ends");
        assert_eq!(standing(&locks), Some((2, vec![])), "the next one has it");
        assert_eq!(locks.locks().len(), 1, "all its keys");
        assert!(!late.is_held() && !also.is_held());
        wait_for(|| entered.load(SeqCst));
        // It does not know yet that it was given up.
        drop((late, also));
        assert_eq!(standing(&locks), Some((2, vec![])), "a late drop leaves the successor's alone");
        assert!(matches!(locks.try_lock("k", &third), Err(LockError::Taken(_))));
        leave.store(true, SeqCst);
        [waits, ends].into_iter().for_each(join);
        assert_eq!(locks.locks(), []);
    }
}

#[test]
fn a_dead_generations_guard_does_not_release_the_next_generations() {
    let owners = Owners::default();
    let locks = KeyLocks::new(&Clock::system());
    let [first, next] = [1, 2].map(|generation| owners.begin(Incarnation { id: 1, generation }, "w"));
    let late = locks.try_lock("k", &first).expect("it is free");
    drop(first.end(Exit::Abandoned { waited: SECOND }));
    let guard = locks.try_lock("k", &next).expect("the successor need not wait");
    drop(late);
    assert!(guard.is_held());
    assert_eq!(locks.locks().first().map(|note| note.owner), Some(next.incarnation()));
}

#[test]
fn whoever_dies_in_the_line_is_told_and_skipped() {
    let (locks, [first, second, third]) = locks();
    let guard = locks.try_lock("k", &first).expect("it is free");
    let dies = line_up(&locks, &second, soon(), |locked| {
        assert_eq!(locked.err(), Some(LockError::Fenced { key: "k".into(), owner: who(2) }));
    });
    let waits = line_up(&locks, &third, soon(), |locked| drop(locked.expect("it comes")));
    drop(second.end(Exit::Normal));
    assert_eq!(standing(&locks), Some((1, vec![3])));
    join(dies); // while the key is still held
    drop(guard);
    join(waits);
    assert_eq!(locks.locks(), []);
}

#[test]
fn whoever_gives_up_leaves_nothing_behind() {
    let time = VirtualTime::new();
    let (locks, [first, second, third]) = locks_by(&time.clock());
    let guard = locks.try_lock("k", &first).expect("it is free");
    let gives_up = line_up(&locks, &second, time.clock().within(3 * SECOND), |locked| {
        let Err(LockError::TimedOut(note)) = locked else { panic!("{locked:?}") };
        assert_eq!((note.owner, note.held_for, note.waiting), (who(1), 3 * SECOND, vec![who(3)]));
    });
    let (stop, told) = (Stop::new(), locks.clone());
    let (until, asks) = (stop.clone(), third.clone());
    let stops = spawn(move || {
        let refused = told.lock("k", &asks, &until).expect_err("it is told to stop");
        let LockError::Stopped { key, held: Some(note) } = refused else { panic!("{refused}") };
        assert_eq!((&*key, note.owner, note.waiting), ("k", who(1), vec![]));
    });
    wait_for(|| standing(&locks) == Some((1, vec![2, 3])));
    time.advance(3 * SECOND).expect("nobody runs by it");
    join(gives_up);
    assert_eq!(standing(&locks), Some((1, vec![3])));
    assert!(stop.tell());
    join(stops);
    assert_eq!(standing(&locks), Some((1, vec![])));
    assert_eq!((second.claims(), third.claims()), (0, 0), "their owners keep nothing");
    drop(guard);
    assert_eq!(locks.locks(), []);
}

#[test]
fn a_deadline_that_has_passed_looks_once() {
    let (locks, [first, second]) = locks();
    let guard = locks.lock("k", &first, Deadline::now()).expect("it is free");
    assert!(matches!(locks.lock("k", &second, Deadline::now()), Err(LockError::TimedOut(_))));
    assert_eq!(standing(&locks), Some((1, vec![])));
    drop(guard);
}

#[test]
fn whoever_was_told_to_stop_locks_nothing_that_is_free() {
    let (locks, [first]) = locks();
    let stop = Stop::new();
    stop.tell();
    let refused = locks.lock("k", &first, &stop).expect_err("it was told");
    assert_eq!(refused, LockError::Stopped { key: "k".into(), held: None });
    assert_eq!(locks.locks(), []);
}

#[test]
fn whoever_holds_a_key_and_asks_again_is_refused_at_once() {
    let (locks, [first, second]) = locks();
    let guard = locks.try_lock("k", &first).expect("it is free");
    // It would wait for itself.
    let again = locks.lock("k", &first, soon()).expect_err("it is its own");
    assert!(matches!(&again, LockError::Yours(note) if note.owner == who(1)), "{again}");
    assert!(matches!(locks.try_lock("k", &first), Err(LockError::Yours(_))));
    assert!(guard.is_held(), "the first one is as good as before");
    drop(guard);
    drop(locks.try_lock("k", &second).expect("it is free"));
}

/// Universes count alike.
#[test]
fn an_owner_of_another_universe_with_the_same_number_is_another_holder() {
    let (locks, [first]) = locks();
    let [other] = self::locks().1;
    let guard = locks.try_lock("k", &first).expect("it is free");
    assert!(matches!(locks.try_lock("k", &other), Err(LockError::Taken(_))));
    let waits = line_up(&locks, &other, soon(), |locked| {
        let guard = locked.expect("it comes");
        assert!(guard.is_held());
    });
    drop(guard);
    join(waits);
}

#[test]
fn two_threads_of_one_owner_stand_in_line_like_others() {
    let (locks, [first, second]) = locks();
    let guard = locks.try_lock("k", &first).expect("it is free");
    let one = line_up(&locks, &second, soon(), |locked| drop(locked.expect("it comes")));
    let (same, asks) = (locks.clone(), second.clone());
    let other = spawn(move || drop(same.lock("k", &asks, soon()).expect("it comes, too")));
    wait_for(|| standing(&locks) == Some((1, vec![2, 2])));
    drop(guard);
    [one, other].into_iter().for_each(join);
    assert_eq!((locks.locks(), second.claims()), (vec![], 0));
}

#[test]
fn whoever_has_ended_locks_nothing() {
    let (locks, [first, second]) = locks();
    let guard = locks.try_lock("k", &first).expect("it is free");
    drop(second.end(Exit::Normal));
    for key in ["k", "free"] {
        let fenced = Some(LockError::Fenced { key: key.into(), owner: who(2) });
        assert_eq!(locks.lock(key, &second, soon()).err(), fenced);
        assert_eq!(locks.try_lock(key, &second).err(), fenced);
    }
    assert_eq!(standing(&locks), Some((1, vec![])));
    drop(guard);
}

#[test]
fn a_guard_may_be_handed_to_another_thread() {
    let (locks, [first, second]) = locks();
    let guard = locks.try_lock("k", &first).expect("it is free");
    join(spawn(move || drop(guard)));
    drop(locks.try_lock("k", &second).expect("it is free"));
}

#[test]
fn a_key_knows_since_when_it_is_held() {
    let time = VirtualTime::new();
    let (locks, [first, second]) = locks_by(&time.clock());
    time.advance(SECOND).expect("nobody runs");
    let guard = locks.try_lock("k", &first).expect("it is free");
    let leave = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&leave);
    let waits = line_up(&locks, &second, soon(), move |locked| {
        let _guard = locked.expect("it comes");
        wait_for(|| told.load(SeqCst));
    });
    time.advance(2 * SECOND).expect("nobody runs");
    let since = || locks.locks().first().map(|note| (note.owner, note.since, note.held_for));
    assert_eq!(since(), Some((who(1), 1_000_000_000, 2 * SECOND)));
    drop(guard);
    assert_eq!(since(), Some((who(2), 3_000_000_000, Duration::ZERO)), "from when it was given");
    leave.store(true, SeqCst);
    join(waits);
}

#[test]
fn what_changes_wakes_whoever_waits_for_a_fact() {
    let activity = Activity::default();
    let owners = Owners::with_activity(activity.clone());
    let locks = KeyLocks::new(&Clock::system());
    let [first, second] = [1, 2].map(|id| owners.begin(who(id), "w"));
    let sees = |fact: Option<(u64, Vec<u64>)>| {
        let seen = activity.wait_for(&soon(), || (standing(&locks) == fact).then_some(()));
        assert_eq!(seen, Some(()), "{fact:?}, in time");
    };
    let (same, asks) = (locks.clone(), second.clone());
    let (leave, told) = (Stop::new(), Stop::new());
    let (leaves, until) = (leave.clone(), told.clone());
    let moves = spawn(move || {
        let guard = same.try_lock("k", &first).expect("it is free");
        wait_for(|| leaves.told());
        drop(guard);
    });
    sees(Some((1, vec![])));
    let same = locks.clone();
    let waits = spawn(move || assert!(same.lock("k", &asks, &until).is_err()));
    sees(Some((1, vec![2])));
    told.tell();
    sees(Some((1, vec![])));
    leave.tell();
    sees(None);
    [moves, waits].into_iter().for_each(join);
}

/// Many keys, many threads, and everything that may happen to them.
#[test]
fn whatever_happens_a_key_has_one_holder_at_a_time_and_is_free_in_the_end() {
    const KEYS: [&str; 2] = ["k", "l"];
    let owners = Owners::default();
    let locks = KeyLocks::new(&Clock::system());
    let inside = Arc::new(KEYS.map(|_| AtomicUsize::new(0)));
    let had = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4)
        .map(|id| {
            let (owners, locks, inside, had) = (owners.clone(), locks.clone(), Arc::clone(&inside), Arc::clone(&had));
            spawn(move || {
                for generation in 1..=300 {
                    let owner = owners.begin(Incarnation { id, generation }, "w");
                    let at = (generation % 2) as usize;
                    let until = match generation % 3 {
                        0 => Clock::system().within(Duration::from_micros(20)),
                        _ => soon(),
                    };
                    let guard = match locks.lock(KEYS[at], &owner, until) {
                        Ok(guard) => guard,
                        Err(error) => {
                            assert!(generation % 3 == 0, "who waits long enough has it: {error}");
                            drop(owner.end(Exit::Normal));
                            continue;
                        }
                    };
                    assert_eq!(inside[at].swap(1, SeqCst), 0, "one at a time");
                    had.fetch_add(1, SeqCst);
                    inside[at].store(0, SeqCst);
                    match generation % 5 {
                        0 => drop(owner.end(Exit::Normal)), // and the guard is late
                        1 => std::mem::forget(guard),       // its end gives it on
                        _ => drop(guard),
                    }
                    drop(owner.end(Exit::Normal));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    assert_eq!(locks.locks(), []);
    assert!(had.load(SeqCst) >= 4 * 200);
}

#[test]
fn an_error_says_who_has_the_key_since_when_and_what_to_do() {
    #[track_caller]
    fn check(error: &LockError, says: &str) {
        assert_eq!(error.to_string(), says);
    }
    let time = VirtualTime::new();
    let (locks, [first, second]) = locks_by(&time.clock());
    let guard = locks.try_lock("k", &first).expect("it is free");
    time.advance(Duration::from_millis(2_500)).expect("nobody runs");
    let stop = Stop::new();
    stop.tell();
    let err = |locked: Result<KeyGuard, LockError>| locked.expect_err("it is taken");
    check(
        &err(locks.try_lock("k", &second)),
        "the key is taken (`k`, held by w (1#1) for 2.5s): wait for it, or come back later",
    );
    check(
        &err(locks.lock("k", &second, Deadline::now())),
        "the key is still taken at the deadline (`k`, held by w (1#1) for 2.5s): wait longer, or end its holder",
    );
    check(
        &err(locks.lock("k", &second, &stop)),
        "told to stop before the key was free (`k`, held by w (1#1) for 2.5s): return",
    );
    check(&err(locks.lock("free", &second, &stop)), "told to stop, so `free` was not locked: return");
    check(
        &err(locks.try_lock("k", &first)),
        "the key is the caller's own (`k`, held by w (1#1) for 2.5s): use that guard, or drop it first",
    );
    let waits = line_up(&locks, &second, soon(), move |locked| {
        check(&err(locked), "2#1 has ended, or was given up: it can't lock `k` any more, its successor can");
    });
    let note: Vec<LockNote> = locks.locks();
    assert_eq!(note[0].to_string(), "`k`, held by w (1#1) for 2.5s, 1 waiting");
    assert_eq!(format!("{locks:?}"), r#"["`k`, held by w (1#1) for 2.5s, 1 waiting"]"#);
    assert_eq!(format!("{guard:?}"), "KeyGuard(`k`, w (1#1))");
    drop(second.end(Exit::Normal));
    join(waits);
    drop(first.end(Exit::Normal));
    assert_eq!(format!("{guard:?}"), "KeyGuard(`k`, w (1#1), ended)");
}
