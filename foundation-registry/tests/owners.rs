//! What the end of an owner promises: written once, dated, remembered, and a fence for what it still tries.
#![cfg(not(any(loom, shuttle)))]

use std::time::Duration;

use foundation_context::{Fields, Incarnation};
use foundation_registry::{Cause, Exit, Fenced, Owner, OwnerRecvError, Owners, Panic, RegisterError, Registry};
use foundation_sync::{Clock, Deadline, Full, Mailbox, Queue, RecvError, SECOND, SECONDS_5, Stop, thread};
use foundation_telemetry::Telemetry;
use foundation_testkit::TestUniverse;

fn who(id: u64, generation: u64) -> Incarnation {
    Incarnation { id, generation }
}

fn owner() -> (Owners, Owner) {
    let owners = Owners::default();
    let owner = owners.begin(who(1, 1), "w");
    (owners, owner)
}

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
    assert_eq!(FENCED.to_string(), "1#1 was given up and is fenced: end now");
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
fn an_end_wakes_its_receives_and_says_the_word_to_stop() {
    for foreign in [false, true] {
        let (_, owner) = owner();
        let receiving = owner.clone();
        let body = move || {
            let (queue, other) = (Queue::<u8>::bounded(1, Full::Wait), Stop::new());
            let until = Clock::system().within(SECONDS_5);
            let received = match foreign {
                true => receiving.recv(&queue, until.or_stop(&other)),
                false => receiving.recv(&queue, until),
            };
            assert_eq!(received, Err(FENCED));
        };
        let receives = thread::Builder::new("receives").spawn(body).expect("a thread starts");
        let stop = owner.stop().clone();
        drop(owner.end(Exit::Normal));
        assert!(stop.told() && owner.stop().told());
        receives.join().expect("it received nothing");
    }
}

#[test]
fn an_exit_reads_as_a_sentence() {
    let panic =
        |location: Option<&str>| Panic { message: "boom".into(), location: location.map(Into::into), backtrace: None };
    let table = [
        (Exit::Normal, "normal", "normal", true),
        (Exit::Shutdown(Cause::Sibling), "shutdown (sibling restart)", "shutdown", true),
        (Exit::Shutdown(Cause::Signal(15)), "shutdown (signal 15)", "shutdown", true),
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
