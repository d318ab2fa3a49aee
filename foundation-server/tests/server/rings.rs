//! Servers that wait for each other.

use foundation_server::{
    CallError, Delivery, Handle, Missed, Quorum, Reason, Server, ServerRef, Turn, WhenFull, broadcast, server,
};
use foundation_sync::{Full, MINUTE, Queue};
use foundation_testkit::{TestUniverse, patience};

use crate::common::{Add, Clerk, Gate, Log, Note, clerk, one_for_one, run, start};

/// Asks others.
struct Node;

impl Server for Node {}

/// Asks the first of these, which is to ask the others in the same way.
struct Ask(Vec<ServerRef<Node>>);

/// How many were asked, or the servers of a ring.
type Asked = Result<usize, Vec<String>>;

impl Handle<Ask> for Node {
    type Reply = Asked;

    fn handle(&mut self, Ask(mut others): Ask, turn: &mut Turn<'_, Self>) -> Asked {
        if others.is_empty() {
            return Ok(0);
        }
        let next = others.remove(0);
        match next.call(Ask(others), turn.system().within(patience())) {
            Ok(asked) => asked.map(|count| count + 1),
            Err(CallError::Ring { servers, .. }) => Err(servers.iter().map(ToString::to_string).collect()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Servers of these names, that serve.
fn nodes<const N: usize>(t: &TestUniverse, names: [&'static str; N]) -> [ServerRef<Node>; N] {
    let (mut tree, mut nodes) = (one_for_one(), Vec::new());
    for name in names {
        let (spec, node) = server(name, || Node);
        tree = tree.child(spec);
        nodes.push(node);
    }
    drop(t.start(tree));
    nodes.try_into().unwrap_or_else(|_| unreachable!("as many as names"))
}

#[test]
fn a_server_that_calls_itself_is_told_of_the_ring() {
    let t = TestUniverse::new();
    let [a] = nodes(&t, ["a"]);
    let asked = a.call(Ask(vec![a.clone()]), t.patience()).expect("it answers");
    assert_eq!(asked, Err(vec!["a".to_owned()]));
}

/// Whoever comes to wait last is told, with the names from the one that it asked to itself.
#[track_caller]
fn check_ring<const N: usize>(names: [&'static str; N]) {
    let t = TestUniverse::new();
    let nodes = nodes(&t, names);
    let mut round: Vec<_> = nodes.iter().skip(1).cloned().collect();
    round.push(nodes[0].clone());
    let asked = nodes[0].call(Ask(round), t.patience()).expect("it answers");
    let ring = asked.expect_err("nobody could answer");
    assert_eq!(ring.len(), N, "{ring:?}");
    let turned = (0..N).any(|at| (0..N).all(|place| ring[place] == names[(at + place) % N]));
    assert!(turned, "{ring:?} is not in the order of {names:?}");
}

#[test]
fn a_ring_of_two_is_found_and_named() {
    check_ring(["a", "b"]);
}

#[test]
fn a_ring_of_three_is_found_and_named() {
    check_ring(["a", "b", "c"]);
}

#[test]
fn a_ring_says_who_waits_for_whom() {
    let error = CallError::<()>::Ring { servers: vec!["a".into(), "b".into()], message: None };
    let text = "the call would wait for itself: `a` -> `b` -> the caller; the message had been begun";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_long_chain_is_no_ring() {
    let t = TestUniverse::new();
    let nodes = nodes(&t, ["a", "b", "c", "d"]);
    let chain = nodes.iter().skip(1).cloned().collect();
    assert_eq!(nodes[0].call(Ask(chain), t.patience()).expect("it answers"), Ok(3));
}

/// Answers, and then asks whoever has asked.
struct Retort(ServerRef<Node>);

impl Handle<Retort> for Node {
    type Reply = ();

    fn handle(&mut self, Retort(who): Retort, turn: &mut Turn<'_, Self>) {
        assert!(turn.continue_with(AskBack(who)).is_ok());
    }
}

struct AskBack(ServerRef<Node>);

impl Handle<AskBack> for Node {
    type Reply = ();

    fn handle(&mut self, AskBack(who): AskBack, turn: &mut Turn<'_, Self>) {
        who.call(Ask(Vec::new()), turn.system().within(patience())).expect("who was answered waits for nobody").ok();
    }
}

/// Has the other one retort.
struct Provoke(ServerRef<Node>, ServerRef<Node>);

impl Handle<Provoke> for Node {
    type Reply = ();

    fn handle(&mut self, Provoke(me, other): Provoke, turn: &mut Turn<'_, Self>) {
        other.call(Retort(me), turn.system().within(patience())).expect("it answers first");
    }
}

#[test]
fn who_was_answered_and_has_not_woken_yet_closes_no_ring() {
    let t = TestUniverse::new();
    let [a, b] = nodes(&t, ["a", "b"]);
    for _ in 0..200 {
        a.call(Provoke(a.clone(), b.clone()), t.patience()).expect("there is no ring");
        // It has asked back: else it would wait for one that asks it, which is a ring.
        b.call(Ask(Vec::new()), t.patience()).expect("there is no ring").expect("nobody was asked");
    }
    assert_eq!((a.status().broken, b.status().broken), (0, 0));
}

#[test]
fn who_would_have_to_make_the_room_that_it_waits_for_is_told_of_the_ring() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.mailbox(1, WhenFull::Wait));
    let told = Queue::bounded(1, Full::Refuse);
    let tells = told.clone();
    let job = run(move |_, turn| {
        let me = turn.me();
        me.cast(Add(1)).expect("there is room for one");
        tells.try_send(me.call(Add(2), turn.system().within(MINUTE)).map_err(|error| error.to_string())).expect("once");
    });
    clerk.cast(job).expect("it serves");
    let error = told.recv(t.patience()).expect("it is told").expect_err("nobody can answer");
    assert_eq!(error, "the call would wait for itself: `clerk` -> the caller; the message was not begun");
}

#[test]
fn who_sends_and_would_have_to_make_the_room_itself_is_told_of_the_ring() {
    let t = TestUniverse::new();
    let (spec, clerk, _) = clerk();
    let _tree = start(&t, spec.mailbox(1, WhenFull::Wait));
    let told = Queue::bounded(1, Full::Refuse);
    let tells = told.clone();
    let job = run(move |_, turn| {
        let me = turn.me();
        me.cast(Add(1)).expect("there is room for one");
        tells.try_send(me.send(Add(2), &Delivery::of(turn.system()), turn.system().within(MINUTE))).expect("once");
    });
    clerk.cast(job).expect("it serves");
    let failed = told.recv(t.patience()).expect("it is told").expect_err("nobody can make room");
    assert_eq!((&failed.reason, failed.attempts), (&Reason::Ring { servers: vec!["clerk".into()] }, 1));
    assert_eq!(failed.reason.to_string(), "its sender would wait for itself: `clerk` -> the sender");
    assert_eq!(failed.into_message(), Some(Add(2)));
    t.wait_for(|| clerk.status().handled == 2);
    assert_eq!(clerk.status().refused, 1);
}

#[test]
fn who_broadcasts_and_would_have_to_make_the_room_itself_is_told_of_the_ring() {
    // It is waited for before anybody gets the message, and after.
    for quorum in [Quorum::All, Quorum::BestEffort] {
        let t = TestUniverse::new();
        let (spec, clerk, log) = clerk();
        let _tree = start(&t, spec.mailbox(1, WhenFull::Wait));
        let told = Queue::bounded(1, Full::Refuse);
        let tells = told.clone();
        let job = run(move |_, turn| {
            let me = turn.me();
            me.cast(Add(1)).expect("there is room for one");
            let sent = broadcast(&[me.recipient()], Note("all"), quorum, turn.system().within(MINUTE));
            tells.try_send(sent.unwrap_or_else(|failed| failed.delivered)).expect("once");
        });
        clerk.cast(job).expect("it serves");
        let delivered = told.recv(t.patience()).expect("it is told");
        let ring = Missed::Refused(Reason::Ring { servers: vec!["clerk".into()] });
        assert_eq!((delivered.accepted, delivered.results), (0, vec![("clerk".into(), Err(ring))]), "{quorum:?}");
        t.wait_for(|| clerk.status().handled == 2);
        assert_eq!((clerk.status().refused, log.text().as_str()), (1, ""));
    }
}

#[test]
fn two_servers_that_wait_for_room_with_each_other_are_a_ring() {
    let t = TestUniverse::new();
    let clerks = ["a", "b"].map(|name| server(name, || Clerk { sum: 0, log: Log::default() }));
    let [(a_spec, a), (b_spec, b)] = clerks;
    let full = |spec: foundation_server::ServerSpec<Clerk>| spec.mailbox(1, WhenFull::Wait);
    let _tree = t.start(one_for_one().child(full(a_spec)).child(full(b_spec)));
    let (told, gates) = (Queue::bounded(2, Full::Refuse), [Gate::new(), Gate::new()]);
    for (gate, (me, other)) in gates.iter().zip([(&a, &b), (&b, &a)]) {
        let (tells, other) = (told.clone(), other.clone());
        let job = gate.then(move |_, turn| {
            let sent = other.send(Add(7), &Delivery::of(turn.system()), turn.system().within(MINUTE));
            tells.try_send(sent.map_err(|failed| failed.reason)).expect("once each");
        });
        me.cast(job).expect("it serves");
        gate.somebody(&t);
        me.cast(Add(1)).expect("there is room for one");
    }
    gates.iter().for_each(Gate::open);
    let mut sent = [0; 2].map(|_| told.recv(t.patience()).expect("both are told"));
    sent.sort_by_key(Result::is_ok);
    let [Err(Reason::Ring { servers }), Ok(())] = sent else { panic!("{sent:?}") };
    let names: Vec<_> = servers.iter().map(|name| &**name).collect();
    assert!(names == ["a", "b"] || names == ["b", "a"], "{names:?}");
}
