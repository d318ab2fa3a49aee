//! The registry as it was, the switch to the one that is, and back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use foundation_context::{Fields, Incarnation, fields};
use foundation_registry::{Exit, Owner, Owners, RegisterError, Registration, Registry};
use foundation_sync::{Deadline, Full, Queue, thread};
use foundation_telemetry::Telemetry;

fn who(id: u64) -> Incarnation {
    Incarnation { id, generation: 1 }
}

/// A registry in legacy mode.
fn registry() -> (Owners, Registry<u64>) {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    turn(&registry, false);
    (owners, registry)
}

fn turn(registry: &Registry<u64>, on: bool) {
    registry.switch().push(registry.switch().epoch().turned(on));
}

fn register(registry: &Registry<u64>, name: &str, owner: &Owner) -> Result<Registration, RegisterError> {
    registry.register(name, owner, owner.incarnation().id, Fields::new())
}

fn value(registry: &Registry<u64>, name: &str) -> Option<u64> {
    registry.lookup(name).map(|entry| *entry.value())
}

fn values(registry: &Registry<u64>) -> Vec<(String, u64)> {
    registry.entries().iter().map(|entry| (entry.name().to_string(), *entry.value())).collect()
}

/// Another thread, which does what it is given, one after another.
struct Elsewhere {
    work: Queue<Box<dyn FnOnce() + Send>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Elsewhere {
    fn new() -> Self {
        let work = Queue::<Box<dyn FnOnce() + Send>>::bounded(1, Full::Refuse);
        let given = work.clone();
        let body = move || {
            while let Ok(work) = given.recv(Deadline::never()) {
                work()
            }
        };
        let thread = thread::Builder::new("elsewhere").spawn(body).expect("a thread");
        Self { work, thread: Some(thread) }
    }

    fn run<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> T {
        let done = Queue::bounded(1, Full::Refuse);
        let answer = done.clone();
        let work = Box::new(move || {
            _ = answer.try_send(body());
            answer.close();
        });
        assert!(self.work.try_send(work).is_ok(), "it does one thing at a time");
        // The other end is dropped with what panicked.
        done.recv(Deadline::never()).expect("it is done")
    }

    fn value(&self, registry: &Registry<u64>, name: &'static str) -> Option<u64> {
        let registry = registry.clone();
        self.run(move || value(&registry, name))
    }

    fn values(&self, registry: &Registry<u64>) -> Vec<(String, u64)> {
        let registry = registry.clone();
        self.run(move || values(&registry))
    }

    fn register(
        &self,
        registry: &Registry<u64>,
        name: &'static str,
        owner: &Owner,
    ) -> Result<Registration, RegisterError> {
        let (registry, owner) = (registry.clone(), owner.clone());
        self.run(move || register(&registry, name, &owner))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.work.close();
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "it does not panic");
    }
}

fn taken(name: &str, owner: Incarnation) -> Option<(String, Incarnation)> {
    Some((name.to_owned(), owner))
}

/// Because of whom a name was refused.
fn refused(registered: Result<Registration, RegisterError>) -> Option<(String, Incarnation)> {
    match registered.err()? {
        RegisterError::AlreadyRegistered { name, owner, .. } => Some((name.to_string(), owner)),
        other => panic!("{other}"),
    }
}

#[test]
fn a_registry_works_the_new_way_unless_it_is_switched() {
    let registry = Registry::<u64>::new(&Owners::default(), &Telemetry::new());
    assert!(registry.switch().is_on());
}

#[test]
fn a_name_is_private_to_the_thread_that_registered_it() {
    let (owners, registry) = registry();
    let (here, there, elsewhere) = (owners.begin(who(1), "here"), owners.begin(who(2), "there"), Elsewhere::new());
    let mine = register(&registry, "n", &here).expect("it is free");
    assert_eq!((value(&registry, "n"), elsewhere.value(&registry, "n")), (Some(1), None));
    let theirs = elsewhere.register(&registry, "n", &there).expect("it is free to another thread");
    assert_eq!((value(&registry, "n"), elsewhere.value(&registry, "n")), (Some(1), Some(2)));
    assert_eq!((values(&registry), elsewhere.values(&registry)), (vec![("n".into(), 1)], vec![("n".into(), 2)]));
    assert_eq!((registry.len(), registry.switch().off_guards()), (2, 2), "names of all threads are counted");
    drop(mine);
    assert_eq!((value(&registry, "n"), elsewhere.value(&registry, "n")), (None, Some(2)));
    drop(theirs);
    assert!(registry.is_empty(), "given up by another thread than the one that registered it");
    assert_eq!(registry.switch().off_guards(), 0);
}

/// A second owner on the same thread is no other thread.
#[test]
fn a_duplicate_is_the_same_error_in_both_modes() {
    for on in [false, true] {
        let (owners, registry) = registry();
        turn(&registry, on);
        let (first, second) = (owners.begin(who(1), "first"), owners.begin(who(2), "second"));
        let kept = register(&registry, "n", &first).expect("it is free");
        for owner in [&first, &second] {
            assert_eq!(refused(register(&registry, "n", owner)), taken("n", who(1)));
        }
        assert_eq!((registry.len(), first.names(), second.names()), (1, 1, 0));
        drop(kept);
        drop(register(&registry, "n", &second).expect("it is free again"));
    }
}

#[test]
fn a_switch_shows_everything_at_once_and_nothing_vanishes_when_it_is_turned_back() {
    let (owners, registry) = registry();
    let (here, elsewhere) = (owners.begin(who(1), "here"), Elsewhere::new());
    for name in ["a", "b", "c"] {
        register(&registry, name, &here).expect("it is free").keep();
    }
    assert_eq!(elsewhere.values(&registry), []);
    let all = vec![("a".to_owned(), 1), ("b".to_owned(), 1), ("c".to_owned(), 1)];
    turn(&registry, true);
    assert_eq!((values(&registry), elsewhere.values(&registry)), (all.clone(), all.clone()));
    turn(&registry, false);
    assert_eq!((values(&registry), elsewhere.values(&registry)), (all.clone(), all));
    let there = owners.begin(who(2), "there");
    assert_eq!(refused(elsewhere.register(&registry, "a", &there)), taken("a", who(1)), "it is still everybody's");
    let private = register(&registry, "d", &here).expect("it is free");
    assert_eq!(elsewhere.value(&registry, "d"), None, "what is registered now is private again");
    drop(private);
}

#[test]
fn a_name_registered_in_one_mode_is_given_up_in_the_other() {
    for on in [false, true] {
        let (owners, registry) = registry();
        let (here, elsewhere) = (owners.begin(who(1), "here"), Elsewhere::new());
        turn(&registry, on);
        let registration = register(&registry, "n", &here).expect("it is free");
        turn(&registry, !on);
        assert_eq!((value(&registry, "n"), elsewhere.value(&registry, "n")), (Some(1), Some(1)));
        elsewhere.run(move || drop(registration));
        assert!(registry.is_empty() && value(&registry, "n").is_none());
        assert_eq!((here.names(), registry.switch().off_guards()), (0, 0));
    }
}

#[test]
fn of_two_threads_that_had_one_name_the_first_gives_it_to_everybody_and_the_other_moves_up() {
    let (owners, registry) = registry();
    let [first, second, third] = [1, 2, 3].map(|id| owners.begin(who(id), "w"));
    let (thread, other) = (Elsewhere::new(), Elsewhere::new());
    let firsts = register(&registry, "n", &first).expect("it is free");
    let seconds = thread.register(&registry, "n", &second).expect("it is free to another thread");
    turn(&registry, true);
    let seen = || (value(&registry, "n"), thread.value(&registry, "n"), other.value(&registry, "n"));
    assert_eq!(seen(), (Some(1), Some(2), Some(1)));
    assert_eq!(thread.values(&registry), [("n".to_owned(), 2)], "one name, one entry");
    assert_eq!(refused(other.register(&registry, "n", &third)), taken("n", who(1)));
    assert_eq!(refused(thread.register(&registry, "n", &third)), taken("n", who(2)), "what it finds is taken");
    drop(firsts);
    assert_eq!(seen(), (Some(2), Some(2), Some(2)), "the other one moves up");
    assert_eq!((registry.len(), thread.values(&registry)), (1, vec![("n".to_owned(), 2)]), "one name, one entry");
    for from in [&other, &thread] {
        assert_eq!(refused(from.register(&registry, "n", &third)), taken("n", who(2)), "it is not doubled");
    }
    assert_eq!(refused(register(&registry, "n", &third)), taken("n", who(2)), "it is not doubled");
    drop(seconds);
    assert_eq!(seen(), (None, None, None));
    let thirds = other.register(&registry, "n", &third).expect("it is free");
    assert_eq!(seen(), (Some(3), Some(3), Some(3)));
    drop(thirds);
    assert!(registry.is_empty());
    assert_eq!(registry.switch().off_guards(), 0);
}

#[test]
fn those_who_are_aside_move_up_in_the_order_in_which_they_came() {
    for on in [false, true] {
        let (owners, registry) = registry();
        let threads = [(); 4].map(|()| Elsewhere::new());
        let lives = [1, 2, 3, 4].map(|id| owners.begin(who(id), "w"));
        let registrations: Vec<_> = threads
            .iter()
            .zip(&lives)
            .map(|(thread, owner)| thread.register(&registry, "n", owner).expect("it is free to another thread"))
            .collect();
        turn(&registry, on);
        let everybody = |id| if on { id } else { None };
        let [first, second, third, fourth] = <[Registration; 4]>::try_from(registrations).expect("four threads");
        drop(second);
        assert_eq!((registry.len(), value(&registry, "n")), (3, everybody(Some(1))), "given up while it was aside");
        // A death moves the next one up, too.
        drop(lives[0].end(Exit::Normal));
        drop(first);
        assert_eq!((registry.len(), value(&registry, "n")), (2, everybody(Some(3))));
        assert_eq!(threads[3].value(&registry, "n"), Some(4), "it still finds its own");
        assert_eq!(threads[2].value(&registry, "n"), Some(3));
        threads[0].run(move || drop(third));
        assert_eq!((registry.len(), value(&registry, "n")), (1, everybody(Some(4))));
        drop(fourth);
        assert!(registry.is_empty() && registry.entries().is_empty());
        assert_eq!((lives[1].names(), lives[3].names(), registry.switch().off_guards()), (0, 0, 0));
    }
}

#[test]
fn who_moved_up_in_legacy_mode_is_everybodys_after_the_switch() {
    let (owners, registry) = registry();
    let [first, second, third] = [1, 2, 3].map(|id| owners.begin(who(id), "w"));
    let (thread, other) = (Elsewhere::new(), Elsewhere::new());
    let firsts = register(&registry, "n", &first).expect("it is free");
    thread.register(&registry, "n", &second).expect("it is free to another thread").keep();
    drop(firsts);
    let seen = || (value(&registry, "n"), thread.value(&registry, "n"), other.value(&registry, "n"));
    assert_eq!(seen(), (None, Some(2), None), "it is still private");
    let thirds = other.register(&registry, "n", &third).expect("it is free to another thread");
    assert_eq!(seen(), (None, Some(2), Some(3)));
    turn(&registry, true);
    assert_eq!(seen(), (Some(2), Some(2), Some(3)));
    drop(second.end(Exit::Normal));
    assert_eq!(seen(), (Some(3), Some(3), Some(3)));
    drop(thirds);
    assert!(registry.is_empty());
    assert_eq!(registry.switch().off_guards(), 0);
}

#[test]
fn an_owner_ends_and_its_names_are_free_wherever_they_stand() {
    for on in [false, true] {
        let (owners, registry) = registry();
        let (here, there, elsewhere) = (owners.begin(who(1), "here"), owners.begin(who(2), "there"), Elsewhere::new());
        register(&registry, "n", &here).expect("it is free").keep();
        elsewhere.register(&registry, "n", &there).expect("it is free to another thread").keep();
        elsewhere.register(&registry, "m", &there).expect("it is free").keep();
        turn(&registry, on);
        drop(there.end(Exit::Normal));
        assert_eq!((registry.len(), value(&registry, "n")), (1, Some(1)));
        let again = owners.begin(who(3), "there");
        elsewhere.register(&registry, "m", &again).expect("it is free").keep();
        drop(here.end(Exit::Normal));
        drop(again.end(Exit::Normal));
        assert!(registry.is_empty() && registry.entries().is_empty());
        assert_eq!(registry.switch().off_guards(), 0, "nothing of the old mode is left");
    }
}

#[test]
fn an_entry_that_somebody_keeps_is_of_the_mode_that_it_was_registered_in() {
    let (owners, registry) = registry();
    let here = owners.begin(who(1), "here");
    let registration = registry.register("n", &here, 1, fields! { shard: 3 }).expect("it is free");
    let entry = registry.lookup("n").expect("it is registered");
    drop(registration);
    assert_eq!((registry.len(), registry.switch().off_guards()), (0, 1));
    drop(entry);
    assert_eq!(registry.switch().off_guards(), 0);
}

const WORKERS: u64 = 4;
const ROUNDS: u64 = 3_000;

/// One worker's rounds: what it has it finds, once; what another has it may meet.
fn rounds(registry: &Registry<u64>, owner: &Owner, contended: &AtomicUsize) {
    let id = owner.incarnation().id;
    let name = format!("worker {id}");
    for round in 0..ROUNDS {
        let own = register(registry, &name, owner).expect("nobody else registers it");
        let all = register(registry, "all", owner);
        let held = [(name.as_str(), true), ("all", all.is_ok())];
        for (name, _) in held.iter().filter(|(_, held)| *held) {
            for _ in 0..3 {
                assert_eq!(value(registry, name), Some(id), "{name} is found by its own thread");
            }
            assert_eq!(refused(register(registry, name, owner)), taken(name, who(id)), "{name} is not doubled");
        }
        if round % 16 == 0 {
            let entries = values(registry);
            for (name, _) in held.iter().filter(|(_, held)| *held) {
                let found: Vec<_> = entries.iter().filter(|(entry, _)| entry == name).map(|(_, id)| *id).collect();
                assert_eq!(found, [id], "{name} is listed once");
            }
        }
        if all.is_err() {
            contended.fetch_add(1, Ordering::Relaxed);
        }
        match round % 2 {
            0 => drop((own, all)),
            _ => drop((all, own)),
        }
        assert_eq!(value(registry, &name), None, "{name} was given up");
        assert_eq!(owner.names(), 0);
    }
}

#[test]
fn whatever_flips_meanwhile_each_thread_finds_its_own_names_once() {
    let (owners, registry) = registry();
    let contended = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (1..=WORKERS)
        .map(|id| {
            let (registry, owner, contended) = (registry.clone(), owners.begin(who(id), "w"), Arc::clone(&contended));
            let body = move || {
                rounds(&registry, &owner, &contended);
                register(&registry, "left", &owner).map_or_else(drop, Registration::keep);
                drop(owner.end(Exit::Normal));
            };
            thread::Builder::new("worker").spawn(body).expect("a thread")
        })
        .collect();
    let (flipped, done) = (registry.clone(), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&done);
    let flips = thread::Builder::new("flips").spawn(move || {
        for flip in 0.. {
            turn(&flipped, flip % 2 == 0);
            if until.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    let ends: Vec<_> = workers.into_iter().map(thread::JoinHandle::join).collect();
    done.store(true, Ordering::Relaxed);
    flips.expect("a thread").join().expect("it does not panic");
    assert!(ends.iter().all(Result::is_ok), "a worker panicked");
    assert!(registry.is_empty() && registry.entries().is_empty(), "something is left: {registry:?}");
    assert_eq!(registry.switch().off_guards(), 0);
    assert!(contended.load(Ordering::Relaxed) < (WORKERS * ROUNDS) as usize);
}
