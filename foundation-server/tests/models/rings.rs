//! Servers that call each other.

use std::time::Duration;

use foundation_server::{CallError, Delivery, Handle, Server, ServerRef, Turn, WhenFull, server};
use foundation_supervisor::{Strategy, Supervisor};
use foundation_sync::{Deadline, Full, Queue};
use foundation_testkit::{explore, reached};

use crate::{stop, universe};

/// Asks the other one.
struct Node;

impl Server for Node {}

struct Ask(ServerRef<Node>);

struct Answer;

/// Has the other one do this.
struct Provoke {
    me: ServerRef<Node>,
    other: ServerRef<Node>,
}

/// Answers, and then asks back.
struct Retort(ServerRef<Node>);

impl Handle<Answer> for Node {
    type Reply = ();

    fn handle(&mut self, _: Answer, _: &mut Turn<'_, Self>) {}
}

impl Handle<Ask> for Node {
    type Reply = bool;

    /// Whether it closed a ring.
    fn handle(&mut self, Ask(other): Ask, _: &mut Turn<'_, Self>) -> bool {
        match other.call(Answer, Deadline::never()) {
            Ok(()) => false,
            Err(CallError::Ring { servers, message: Some(Answer) }) => {
                assert_eq!(servers.len(), 2, "{servers:?}");
                true
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Handle<Provoke> for Node {
    type Reply = ();

    fn handle(&mut self, Provoke { me, other }: Provoke, _: &mut Turn<'_, Self>) {
        other.call(Retort(me), Deadline::never()).expect("it answers first");
    }
}

impl Handle<Retort> for Node {
    type Reply = ();

    fn handle(&mut self, Retort(who): Retort, turn: &mut Turn<'_, Self>) {
        assert!(turn.continue_with(Ask(who)).is_ok());
    }
}

/// Two servers, in a universe.
fn two() -> (foundation_supervisor::Foundation, ServerRef<Node>, ServerRef<Node>) {
    let (foundation, [(a_spec, a), (b_spec, b)]) = (universe(), ["a", "b"].map(|name| server(name, || Node)));
    let tree = Supervisor::new("t", Strategy::OneForOne);
    let tree = tree
        .child(a_spec.child().ready_within(Duration::MAX).stop_whenever())
        .child(b_spec.child().ready_within(Duration::MAX).stop_whenever());
    drop(tree.start(&foundation, Deadline::never()).expect("it starts"));
    (foundation, a, b)
}

/// What they found.
fn told(foundation: foundation_supervisor::Foundation, rings: &Queue<bool>) -> usize {
    stop(foundation);
    rings.drain().into_iter().filter(|ring| *ring).count()
}

/// Tells whether it closed a ring.
struct Tell(ServerRef<Node>, Queue<bool>);

impl Handle<Tell> for Node {
    type Reply = ();

    fn handle(&mut self, Tell(other, rings): Tell, turn: &mut Turn<'_, Self>) {
        let ring = self.handle(Ask(other), turn);
        rings.try_send(ring).expect("there is room");
    }
}

/// Three threads: two servers that call each other at once, and who told them to.
#[test]
fn of_two_servers_that_close_a_ring_at_once_one_is_told() {
    explore("of two servers that close a ring at once one is told")
        .reaches(&["server: a ring was closed", "one after the other"])
        .catches(&["server: a ring is not looked for"])
        .run(|| {
            let (foundation, a, b) = two();
            let rings = Queue::bounded(2, Full::Refuse);
            a.cast(Tell(b.clone(), rings.clone())).expect("it serves");
            b.call(Tell(a.clone(), rings.clone()), Deadline::never()).expect("it answers");
            a.call(Answer, Deadline::never()).expect("it answers");
            let closed = told(foundation, &rings);
            assert!(closed <= 1, "{closed} were told");
            if closed == 0 {
                reached!("one after the other");
            }
        });
}

/// Three threads: a server that was answered and has not woken yet, the one that answered and asks it back, and who told
/// them to.
#[test]
fn who_was_answered_and_has_not_woken_yet_closes_no_ring() {
    explore("who was answered and has not woken yet closes no ring")
        .reaches(&["server: an edge was answered already"])
        .catches(&["server: an edge counts that was answered"])
        .run(|| {
            let (foundation, a, b) = two();
            a.call(Provoke { me: a.clone(), other: b.clone() }, Deadline::never()).expect("it answers");
            stop(foundation);
            // Who asks back may have been told to stop first.
            assert_eq!((a.status().broken, b.status().broken), (0, 0));
        });
}

/// Sends the other one something for which it may have to make room first.
struct SendTo(ServerRef<Node>);

impl Handle<SendTo> for Node {
    type Reply = ();

    fn handle(&mut self, SendTo(other): SendTo, turn: &mut Turn<'_, Self>) {
        other.send(Answer, &Delivery::of(turn.system()), Deadline::never()).expect("it makes room");
    }
}

/// Three threads: a server that waits for room, the one that makes it and then asks back, and who told them to.
#[test]
fn who_was_given_room_and_has_not_woken_yet_closes_no_ring() {
    explore("who was given room and has not woken yet closes no ring")
        .reaches(match cfg!(shuttle) {
            // Random schedules hardly ever come to both.
            true => &["server: an edge was answered already"],
            false => &["server: an edge was answered already", "server: room before the ring"],
        })
        .catches(&["server: a ring of senders is believed at once", "server: who has sent still waits for room"])
        .run(|| {
            let (foundation, [(a_spec, a), (b_spec, b)]) = (universe(), ["a", "b"].map(|name| server(name, || Node)));
            let full = b_spec.mailbox(1, WhenFull::Wait);
            let tree = Supervisor::new("t", Strategy::OneForOne)
                .child(a_spec.child().ready_within(Duration::MAX).stop_whenever())
                .child(full.child().ready_within(Duration::MAX).stop_whenever());
            drop(tree.start(&foundation, Deadline::never()).expect("it starts"));
            let rings = Queue::bounded(1, Full::Refuse);
            b.cast(Tell(a.clone(), rings.clone())).expect("there is room");
            a.call(SendTo(b.clone()), Deadline::never()).expect("it answers");
            b.call(Answer, Deadline::never()).expect("it answers");
            assert_eq!(told(foundation, &rings), 0, "a ring of one that waits for nobody");
        });
}
