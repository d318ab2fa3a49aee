//! What the end of an owner promises: written once, dated, remembered, and a fence for what it still tries.
//!
//! Alone in its program, for it looks at memory that other tests' lives in the same process would keep.
#![cfg(not(any(loom, shuttle)))]

use std::{sync::Arc, time::Duration};

use allocation_counter::measure;
use foundation_context::{Fields, Incarnation};
use foundation_registry::{
    Cause, Exit, Fenced, Owner, OwnerGuard, OwnerRecvError, Owners, Panic, RegisterError, Registry, TOMBSTONES,
};
use foundation_sync::{
    Activity, Clock, Deadline, Full, Mailbox, Mutex, Queue, RecvError, SECOND, SECONDS_5, Stop, Until, Wake,
    atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};
use foundation_telemetry::Telemetry;
use foundation_testkit::{TestUniverse, join, patience, spawn};

fn who(id: u64, generation: u64) -> Incarnation {
    Incarnation { id, generation }
}

fn owner() -> (Owners, OwnerGuard) {
    let owners = Owners::default();
    let owner = owners.begin(who(1, 1), "w");
    (owners, owner)
}

/// Names.
const MANY: usize = 100_000;

const FENCED: OwnerRecvError = OwnerRecvError::Fenced(Fenced(Incarnation { id: 1, generation: 1 }));

#[test]
fn an_end_is_written_once() {
    let (owners, owner) = owner();
    assert_eq!(owners.exit_of(who(1, 1)), None);
    assert!(owner.end(Exit::Failed("x".into())).is_some());
    assert!(owner.end(Exit::Normal).is_none());
    assert_eq!(owners.exit_of(who(1, 1)), Some(Exit::Failed("x".into())));
    assert_eq!(owner.monitor().try_recv().map(|down| down.exit), Ok(Exit::Failed("x".into())));
    assert!(owner.fenced() && owners.get(who(1, 1)).is_none() && owners.live().is_empty());
}

#[test]
fn who_lets_go_of_the_right_to_end_a_life_ends_it() {
    let (owners, owner) = owner();
    let registry = Registry::new(&owners, &Telemetry::new());
    let (value, monitor) = (Arc::new(()), owner.monitor());
    registry.register("n", &owner, Arc::clone(&value), Fields::new()).expect("it is free").keep();
    let (other, stop) = (owner.owner().clone(), owner.stop().clone());
    drop(owner);
    let why = Exit::Failed("the right to end it was dropped before it ended".into());
    assert_eq!(monitor.try_recv().map(|down| down.exit), Ok(why.clone()));
    assert_eq!(owners.exit_of(who(1, 1)), Some(why));
    assert!(other.fenced() && stop.told() && registry.is_empty());
    assert_eq!(Arc::strong_count(&value), 1, "what remained was dropped, too");
    let next = owners.begin(who(1, 2), "w");
    registry.register("n", &next, value, Fields::new()).expect("it is free again").keep();
}

#[test]
fn who_panics_with_the_right_to_end_a_life_ends_it() {
    let (owners, owner) = owner();
    let panics = spawn(move || {
        let _owner = owner;
        panic!("on purpose");
    });
    assert!(panics.join().is_err());
    assert_eq!(owners.exit_of(who(1, 1)).map(|exit| exit.kind()), Some("failed"));
}

#[test]
fn an_end_that_was_stands_when_the_right_to_it_is_dropped() {
    let (owners, owner) = owner();
    let monitor = owner.monitor();
    let shared = Arc::new(owner);
    let other = Arc::clone(&shared);
    drop(shared);
    assert!(!other.fenced(), "another holds it");
    drop(other.end(Exit::Normal));
    drop(other);
    assert_eq!(
        (owners.exit_of(who(1, 1)), monitor.try_recv().map(|down| down.exit)),
        (Some(Exit::Normal), Ok(Exit::Normal))
    );
    assert!(monitor.try_recv().is_err() && owners.forgotten() == 0, "there is one Down");
}

#[test]
fn the_living_are_listed_by_number() {
    let owners = Owners::default();
    let begin = |id| owners.begin(who(id, 1 + id % 3), "w");
    let all: Vec<_> = (0..100).rev().map(begin).collect();
    assert!(owners.live().iter().eq(all.iter().rev().map(OwnerGuard::owner)));
    drop(all[50].end(Exit::Normal));
    assert_eq!(owners.live().len(), 99);
}

#[test]
fn whoever_waits_for_a_fact_about_lives_is_woken_by_what_changes_it() {
    let activity = Activity::default();
    let owners = Owners::with_activity(activity.clone());
    // The first look does it. Nobody else moves the counter: there is a second one in time if that did.
    #[track_caller]
    fn check<T>(activity: &Activity, what: &str, act: impl FnOnce() -> T) -> T {
        let until = Clock::system().within(patience());
        let (mut act, mut done) = (Some(act), None);
        let seen = activity.wait_for(&until, || match act.take() {
            Some(act) => {
                done = Some(act());
                None
            }
            None => Some(!until.passed()),
        });
        assert_eq!(seen, Some(true), "{what}");
        done.expect("it was done")
    }
    let owner = check(&activity, "begin", || owners.begin(who(1, 1), "w"));
    let monitor = check(&activity, "monitor", || owner.monitor());
    check(&activity, "withdraw", || drop(monitor));
    let queue = Queue::bounded(1, Full::Refuse);
    check(&activity, "monitor into", || owners.monitor_into(who(1, 1), &queue)).expect("there is room");
    drop(check(&activity, "end", || owner.end(Exit::Normal)));
}

#[test]
fn an_incarnation_that_lives_does_not_begin_again() {
    let (owners, first) = owner();
    let second = owners.begin(who(1, 1), "again");
    let why = Exit::Failed("1#1 lives already: begin with another number, or a later generation".into());
    assert!(second.fenced() && second.stop().told() && !first.fenced());
    assert_eq!(second.monitor().try_recv().map(|down| down.exit), Ok(why));
    assert!(second.end(Exit::Normal).is_none(), "it had ended already");
    drop(second);
    assert_eq!((owners.live(), owners.exit_of(who(1, 1))), (vec![first.clone()], None), "the first one lives on");
    drop(first.end(Exit::Failed("x".into())));
    assert_eq!((owners.exit_of(who(1, 1)), owners.forgotten()), (Some(Exit::Failed("x".into())), 0));
}

/// Two lives of one number are no good idea, but neither makes the other's end be forgotten.
#[test]
fn who_lives_again_after_its_end_ends_again() {
    let (owners, first) = owner();
    drop(first.end(Exit::Failed("x".into())));
    drop(owners.begin(who(1, 1), "w").end(Exit::Normal));
    for id in 0..TOMBSTONES as u64 - 1 {
        drop(owners.begin(who(100 + id, 1), "w").end(Exit::Normal));
    }
    assert_eq!((owners.exit_of(who(1, 1)), owners.forgotten()), (Some(Exit::Normal), 0));
}

#[test]
fn a_down_says_when_it_was_by_the_universes_clock() {
    let t = TestUniverse::with_virtual_time();
    let owner = t.owners().begin(who(71, 1), "w");
    let early = owner.monitor();
    t.clock().advance(SECOND);
    let ended = t.clock().now();
    drop(owner.end(Exit::Normal));
    t.clock().advance(SECOND);
    let late = [t.owners().monitor(who(71, 1)), owner.monitor()];
    for monitor in [&early].into_iter().chain(&late) {
        assert_eq!(monitor.try_recv().map(|down| down.at), Ok(ended));
    }
    let unknown = t.owners().monitor(who(99, 1)).try_recv().expect("it is there at once");
    assert_eq!(unknown.at, t.clock().now(), "of whom nothing is known, when that was said");
}

#[test]
fn the_fenced_write_nothing() {
    let (owners, owner) = owner();
    let registry = Registry::new(&owners, &Telemetry::new());
    drop(owner.end(Exit::Abandoned { waited: SECOND }));
    let refused = registry.register("n", &owner, 1, Fields::new()).map(drop);
    assert_eq!(refused, Err(RegisterError::Fenced(who(1, 1))));
    assert!(registry.is_empty());
}

#[test]
fn the_fenced_receive_nothing_and_what_is_there_is_their_successors() {
    let (owners, owner) = owner();
    let queue = Queue::bounded(4, Full::Wait);
    let (sender, mut mailbox) = Mailbox::bounded(4, Full::Wait);
    for value in 1..=3 {
        queue.try_send(value).expect("there is room");
        sender.try_send(value).expect("there is room");
    }
    let clock = Clock::system();
    assert_eq!(owner.recv(&queue, Deadline::now()), Ok(1));
    assert_eq!(owner.recv_mail(&mut mailbox, Deadline::now()), Ok(1));
    drop(owner.end(Exit::Normal));
    assert_eq!(owner.recv(&queue, Deadline::now()), Err(FENCED));
    assert_eq!(owner.recv_all(&queue, &clock, Duration::ZERO, Deadline::now()), Err(FENCED));
    assert_eq!(owner.recv_mail(&mut mailbox, Deadline::now()), Err(FENCED));
    assert_eq!(FENCED.to_string(), "1#1 has ended, or was given up: it receives nothing any more, end now");
    let second = owners.begin(who(1, 2), "w");
    assert_eq!(second.recv_all(&queue, &clock, Duration::ZERO, Deadline::now()), Ok(vec![2, 3]));
    assert_eq!(second.recv_mail(&mut mailbox, Deadline::now()), Ok(2));
}

#[test]
fn a_receive_ends_by_whatever_comes_first() {
    let (_, owner) = owner();
    let (queue, told) = (Queue::<u8>::bounded(1, Full::Wait), Stop::new());
    let recv = |until: foundation_sync::Until<'_>| owner.recv(&queue, until);
    assert_eq!(recv(Deadline::now().into()), Err(OwnerRecvError::Recv(RecvError::TimedOut)));
    assert_eq!(recv(Deadline::now().or_stop(&told)), Err(OwnerRecvError::Recv(RecvError::TimedOut)));
    told.tell();
    queue.try_send(1).expect("there is room");
    let stopped = OwnerRecvError::Recv(RecvError::Stopped);
    assert_eq!(recv((&told).into()), Err(stopped), "who was told to stop gets no more, whatever is there");
    assert_eq!(recv(Deadline::never().into()), Ok(1));
    owner.stop().tell();
    queue.try_send(2).expect("there is room");
    assert_eq!(recv(Deadline::never().into()), Err(stopped));
    assert_eq!(recv((&Stop::new()).into()), Err(stopped), "its own stop counts beside another");
    queue.close();
    assert_eq!(owner.recv(&queue, owner.stop()), Err(stopped));
    let (_, other) = self::owner();
    assert_eq!(other.recv(&queue, Deadline::now()), Ok(2));
    assert_eq!(other.recv(&queue, Deadline::never()), Err(OwnerRecvError::Recv(RecvError::Closed)));
}

#[test]
fn a_long_text_is_remembered_in_short_and_a_backtrace_by_its_owner_alone() {
    #[track_caller]
    fn check(exit: Exit, remembered: Exit) {
        let (owners, owner) = owner();
        let early = owners.monitor(who(1, 1));
        drop(owner.end(exit.clone()));
        for monitor in [early, owner.monitor()] {
            assert_eq!(monitor.try_recv().map(|down| down.exit), Ok(exit.clone()), "news is as it was");
        }
        assert_eq!(owners.monitor(who(1, 1)).try_recv().map(|down| down.exit), Ok(remembered.clone()));
        assert_eq!(owners.exit_of(who(1, 1)), Some(remembered));
    }
    let (fits, long, brief) = ("x".repeat(512), "x".repeat(513), "x".repeat(512) + "…");
    // Two bytes each, and one before them: the cut would go through the middle of one.
    let (wide, brief_wide) = ("x".to_owned() + &"ä".repeat(300), "x".to_owned() + &"ä".repeat(255) + "…");
    let panic = |text: &str, backtrace: Option<&str>| {
        let (location, backtrace) = (Some(text.into()), backtrace.map(Into::into));
        Exit::Panicked(Panic { message: text.into(), location, backtrace })
    };
    let failed = |text: &str| Exit::Failed(text.into());
    check(failed(&fits), failed(&fits));
    check(failed(&long), failed(&brief));
    check(failed(&wide), failed(&brief_wide));
    check(Exit::ShutdownWith(long.as_str().into()), Exit::ShutdownWith(brief.as_str().into()));
    check(panic(&long, Some(&long)), panic(&brief, None));
    check(panic("why", Some("where")), panic("why", None));
}

/// Each way to receive, until a deadline that is far away, or another's stop.
fn receive(owner: &Owner, way: usize) -> Result<(), OwnerRecvError> {
    let (queue, (_sender, mut mailbox)) = (Queue::<u8>::bounded(1, Full::Wait), Mailbox::<u8>::bounded(1, Full::Wait));
    let (clock, other) = (Clock::system(), Stop::new());
    let far = clock.within(patience());
    match way {
        0 => owner.recv(&queue, far).map(drop),
        1 => owner.recv_all(&queue, &clock, Duration::ZERO, far).map(drop),
        2 => owner.recv_mail(&mut mailbox, far).map(drop),
        3 => owner.recv(&queue, far.or_stop(&other)).map(drop),
        4 => owner.recv_all(&queue, &clock, Duration::ZERO, far.or_stop(&other)).map(drop),
        _ => owner.recv_mail(&mut mailbox, far.or_stop(&other)).map(drop),
    }
}

/// What a receive that sleeps is told, when this is done to its life.
#[track_caller]
fn check_that_sleeps(way: usize, act: impl FnOnce(&OwnerGuard), told: OwnerRecvError) {
    let (_, owner) = owner();
    let (receiving, sleeps) = (owner.clone(), Queue::bounded(1, Full::Refuse));
    let says = sleeps.clone();
    let receives = spawn(move || {
        says.try_send(()).expect("there is room");
        assert_eq!(receive(&receiving, way), Err(told), "way {way}");
    });
    sleeps.recv(Clock::system().within(patience())).expect("it begins");
    act(&owner);
    join(receives);
    assert!(owner.stop().told());
}

#[test]
fn an_end_wakes_its_receives_and_says_the_word_to_stop() {
    for way in 0..6 {
        let ends = |owner: &OwnerGuard| {
            let stop = owner.stop().clone();
            drop(owner.end(Exit::Normal));
            assert!(stop.told());
        };
        check_that_sleeps(way, ends, FENCED);
        // Nobody has asked for its stop before.
        check_that_sleeps(way, |owner| drop(owner.end(Exit::Normal)), FENCED);
    }
}

#[test]
fn the_word_to_stop_wakes_a_lifes_receives() {
    for way in 0..6 {
        check_that_sleeps(way, |owner| _ = owner.stop().tell(), OwnerRecvError::Recv(RecvError::Stopped));
    }
}

struct Ends(Arc<OwnerGuard>);

impl From<Ends> for Until<'_> {
    fn from(Ends(owner): Ends) -> Self {
        drop(owner.end(Exit::Normal));
        Deadline::now().into()
    }
}

/// An end waits for the receives that are under way: it would wait for itself.
#[test]
fn no_users_code_runs_in_a_receive() {
    let owner = Arc::new(owner().1);
    let done = Queue::bounded(1, Full::Refuse);
    let says = done.clone();
    drop(thread::Builder::new("receives").spawn(move || {
        let (queue, (_sender, mut mailbox)) =
            (Queue::<u8>::bounded(1, Full::Wait), Mailbox::<u8>::bounded(1, Full::Wait));
        let received = [
            owner.recv(&queue, Ends(Arc::clone(&owner))).map(drop),
            self::owner().1.recv_all(&queue, &Clock::system(), Duration::ZERO, Ends(Arc::clone(&owner))).map(drop),
            self::owner().1.recv_mail(&mut mailbox, Ends(Arc::clone(&owner))).map(drop),
        ];
        _ = says.try_send(received);
    }));
    let timed_out = Err(OwnerRecvError::Recv(RecvError::TimedOut));
    let received = done.recv(Clock::system().within(patience()));
    assert_eq!(received, Ok([Err(FENCED), timed_out, timed_out]));
}

/// As in the example at `Wake`.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    woken: AtomicBool,
}

impl Wake for Gate {
    fn wake(&self) {
        drop(self.open.lock());
        self.woken.store(true, SeqCst);
    }
}

#[test]
fn an_end_runs_no_users_code_who_watches_the_stop_is_woken_when_what_is_left_is_dropped() {
    let (owners, owner) = owner();
    let (gate, monitor) = (Arc::new(Gate::default()), owner.monitor());
    let watching = owner.stop().watch(Arc::clone(&gate) as Arc<dyn Wake>);
    let done = Queue::bounded(1, Full::Refuse);
    let (owner, ending, says) = (owner.clone(), owner, done.clone());
    let open = gate.open.lock();
    drop(thread::Builder::new("ends").spawn(move || _ = says.try_send(ending.end(Exit::Normal))));
    let remains = done.recv(Clock::system().within(patience())).expect("it waits for nobody").expect("it lived");
    assert!(monitor.try_recv().is_ok() && owners.exit_of(who(1, 1)) == Some(Exit::Normal));
    drop(open);
    assert!(!remains.is_empty() && !gate.woken.load(SeqCst));
    drop(remains);
    assert!(gate.woken.load(SeqCst) && owner.stop().told());
    drop(watching);
}

#[test]
fn of_whom_held_nothing_and_was_asked_for_nothing_nothing_is_left() {
    for stop in [false, true] {
        let (_, owner) = owner();
        if stop {
            assert!(owner.stop().tell());
        }
        assert!(owner.end(Exit::Normal).is_some_and(|remains| remains.is_empty()), "{stop}");
    }
}

#[test]
fn a_life_gives_the_memory_of_names_that_are_gone_back() {
    let (owners, owner) = owner();
    let registry = Registry::new(&owners, &Telemetry::new());
    let register = |name: &str| registry.register(name, &owner, (), Fields::new()).expect("it is free");
    // One stays, the first or none; the last, behind which nothing is free, keeps the room of all.
    for stays in [None, Some(0)] {
        let mut all = Vec::with_capacity(MANY);
        let mut stay = None;
        let left = measure(|| {
            all.extend((0..MANY).map(|id| register(&format!("n{id}"))));
            stay = stays.map(|at| all.swap_remove(at));
            all.drain(..).for_each(drop);
            // What was removed comes back in the middle of later calls.
            (0..MANY).for_each(|_| drop(register("another")));
        });
        assert!(left.bytes_current < MANY as i64, "{stays:?}: {left:?}");
        assert_eq!(owner.names(), usize::from(stay.is_some()));
    }
    assert_eq!(owner.claims(), 0);
}

#[test]
fn an_exit_reads_as_a_sentence() {
    let panic =
        |location: Option<&str>| Panic { message: "boom".into(), location: location.map(Into::into), backtrace: None };
    let table = [
        (Exit::Normal, "normal", "normal", true),
        (Exit::Shutdown(Cause::Sibling), "shutdown (sibling restart)", "shutdown", true),
        (Exit::Shutdown(Cause::Signal(15)), "shutdown (signal 15)", "shutdown", true),
        (Exit::Shutdown(Cause::Intensity), "shutdown (too many restarts)", "shutdown", true),
        (Exit::Shutdown(Cause::Broken), "shutdown (the supervisor is broken, please report it)", "shutdown", false),
        (Exit::ShutdownWith("moved to b".into()), "shutdown: moved to b", "shutdown", true),
        (Exit::Failed("no disk".into()), "failed: no disk", "failed", false),
        (Exit::Panicked(panic(Some("src/x.rs:10:1"))), "panicked at src/x.rs:10:1: boom", "panicked", false),
        (Exit::Panicked(panic(None)), "panicked: boom", "panicked", false),
        (Exit::Abandoned { waited: SECONDS_5 }, "abandoned after 5s, still running", "abandoned", false),
        (Exit::NoSuchIncarnation, "no such incarnation", "unknown", false),
    ];
    for (exit, text, kind, clean) in table {
        assert_eq!((exit.to_string().as_str(), exit.kind(), exit.is_clean()), (text, kind, clean));
    }
}
