//! One door, three faces: what a signature or a type promises on one, it promises on all. It is the compiler that
//! tests: this file is built on each face.
#![expect(clippy::type_complexity, reason = "a signature is written as it is")]

use std::{
    fmt::Debug,
    hash::RandomState,
    io,
    panic::{RefUnwindSafe, UnwindSafe},
    rc::Rc,
    sync::Arc,
};

use foundation_sync::{
    Activity, AdvanceError, Cached, Clock, ClosedError, Condvar, Deadline, Enrolment, Entered, Errands, Keyed,
    LocalKey, MODEL, Mailbox, Map, Mutex, MutexGuard, Once, Permit, Queue, SendError, Sender, Snapshot, Stop, Switch,
    Timekeeper, Until, VirtualTime, Watching, Whereabouts, atomic, fence, thread,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

/// May be sent, but not shared.
type Sent = std::cell::Cell<u8>;
/// May be shared, but a panic may leave half a change behind in it.
type Torn = Arc<Racy>;
/// Shared, and not safe to be seen after a panic.
struct Racy(std::marker::PhantomData<&'static mut u8>, std::marker::PhantomData<dyn Fn() + Send + Sync>);

/// Has its key in it.
struct Named(String);

impl Keyed<String> for Named {
    fn key(&self) -> &String {
        &self.0
    }
}

assert_impl_all!(Mutex<Sent>: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_not_impl_any!(Mutex<Rc<u8>>: Send, Sync);
assert_not_impl_any!(Mutex<u8>: Clone);

assert_impl_all!(MutexGuard<'static, u8>: Sync, UnwindSafe, RefUnwindSafe, Debug);
assert_not_impl_any!(MutexGuard<'static, u8>: Send, Clone);
assert_not_impl_any!(MutexGuard<'static, Sent>: Send, Sync);

assert_impl_all!(Condvar: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_not_impl_any!(Condvar: Clone);

assert_impl_all!(Snapshot<u8>: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_not_impl_any!(Snapshot<Sent>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(Snapshot<Racy>: UnwindSafe, RefUnwindSafe, Default);
assert_not_impl_any!(Snapshot<u8>: Clone);

assert_impl_all!(Cached<&'static Snapshot<u8>, u8>: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(Cached<Arc<Snapshot<u8>>, u8>: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(Cached<Arc<Snapshot<Racy>>, Racy>: Clone);
assert_not_impl_any!(Cached<Arc<Snapshot<Sent>>, Sent>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(Cached<Rc<Snapshot<u8>>, u8>: Send, Sync);
assert_not_impl_any!(Cached<Arc<Snapshot<Racy>>, Racy>: UnwindSafe, RefUnwindSafe);

assert_impl_all!(Map<u8, u8>: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_impl_all!(Map<Racy, Racy>: Default, Debug);
assert_impl_all!(Map<Rc<Racy>, u8>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(Map<u8, Sent>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(Map<u8, Rc<u8>>: Send, Sync);
assert_not_impl_any!(Map<u8, Racy>: UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(Map<u8, u8>: Clone);

assert_impl_all!(Once<u8>: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_impl_all!(Once<Racy>: Default, Debug);
assert_impl_all!(Once<Sent>: Send, UnwindSafe);
assert_not_impl_any!(Once<Sent>: Sync, RefUnwindSafe);
assert_not_impl_any!(Once<Rc<u8>>: Send, Sync);
assert_not_impl_any!(Once<Torn>: UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(Once<u8>: Clone);

assert_impl_all!(atomic::AtomicBool: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_impl_all!(atomic::AtomicU32: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_impl_all!(atomic::AtomicU64: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_impl_all!(atomic::AtomicUsize: Send, Sync, UnwindSafe, RefUnwindSafe, Default, Debug);
assert_impl_all!(atomic::Ordering: Send, Sync, Copy, Eq, Debug);

assert_impl_all!(thread::Builder: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(thread::JoinHandle<()>: Send, Sync, UnwindSafe, RefUnwindSafe, Debug);
assert_impl_all!(thread::ThreadId: Send, Sync, Copy, Eq, std::hash::Hash, Debug);

// What is made of these is the same on all faces as far as they are.
assert_impl_all!(Queue<Sent>: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(Sender<Sent>: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(Mailbox<Sent>: Send, UnwindSafe, Debug);
assert_not_impl_any!(Mailbox<Sent>: Sync, Clone);
assert_impl_all!(Permit<Sent>: Send, Sync, Debug);
assert_impl_all!(ClosedError<Rc<u8>>: Debug, std::fmt::Display, std::error::Error);
assert_impl_all!(SendError<Rc<u8>>: Debug, std::fmt::Display, std::error::Error);
assert_impl_all!(Clock: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(Deadline: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(Until<'static>: Send, Sync, Clone, Debug);
assert_impl_all!(VirtualTime: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Default, Debug);
assert_impl_all!(AdvanceError: Send, Sync, Clone, Eq, std::error::Error);
assert_impl_all!(Entered: Send, Sync, Debug);
assert_impl_all!(Enrolment: Send, Sync, Debug);
assert_impl_all!(thread::Conditions: Send, Sync, UnwindSafe, RefUnwindSafe, Clone, Debug);
assert_impl_all!(thread::TakeOnError: Send, Sync, std::error::Error);
assert_impl_all!(Whereabouts: Send, Sync, Clone, Default, Debug);
assert_impl_all!(Timekeeper: Send, Sync, Clone, Debug);
assert_impl_all!(Activity: Send, Sync, Clone, Default, Debug);
assert_impl_all!(Stop: Send, Sync, Clone, Default, Debug);
assert_impl_all!(Watching: Send, Sync, Debug);
assert_impl_all!(Switch: Send, Sync, Clone, Debug);
assert_impl_all!(Errands: Send, Sync, Clone, Default, Debug);

#[test]
fn signatures_are_the_same_on_all_faces() {
    let _: fn(u8) -> Mutex<u8> = Mutex::new;
    let _: fn(&Mutex<u8>) -> MutexGuard<'_, u8> = Mutex::lock;
    let _: fn(&Mutex<u8>) -> Option<MutexGuard<'_, u8>> = Mutex::try_lock;
    let _: fn(&mut Mutex<u8>) -> &mut u8 = Mutex::get_mut;
    let _: fn(Mutex<u8>) -> u8 = Mutex::into_inner;

    let _: fn() -> Condvar = Condvar::new;
    let _: for<'a> fn(&Condvar, MutexGuard<'a, u8>, &Deadline) -> MutexGuard<'a, u8> = Condvar::wait;
    let _: [fn(&Condvar); 2] = [Condvar::notify_one, Condvar::notify_all];

    let _: fn(u8) -> Snapshot<u8> = Snapshot::new;
    let _: fn(&Snapshot<u8>) -> Arc<u8> = Snapshot::load;
    let _: fn(&Snapshot<u8>) -> Cached<&Snapshot<u8>, u8> = Snapshot::cached;
    let _: fn(&Snapshot<u8>, Arc<u8>) = Snapshot::store;
    let _: fn(&Snapshot<u8>, Arc<u8>) -> Arc<u8> = Snapshot::swap;
    let _: fn(&Snapshot<u8>, fn(&u8) -> Result<u8, ()>) -> Result<(Arc<u8>, Arc<u8>), ()> =
        |cell, make| cell.update(make);
    let _: fn(Arc<Snapshot<u8>>) -> Cached<Arc<Snapshot<u8>>, u8> = Cached::new;
    let _: for<'a> fn(&'a mut Cached<&'static Snapshot<u8>, u8>) -> &'a Arc<u8> = Cached::load;

    let _: fn() -> Map<String, Named> = Map::new;
    let _: fn(RandomState) -> Map<String, Named, RandomState> = Map::with_hasher;
    let _: fn(usize, RandomState) -> Map<String, Named, RandomState> = Map::with_shards;
    let _: fn(&Map<String, Named>, &str) -> Option<Arc<Named>> = Map::get;
    let _: fn(&Map<String, Named>, &Arc<Named>, fn(&Named) -> bool) -> Result<Option<Arc<Named>>, Arc<Named>> =
        |map, value, keep| map.insert_unless(value, keep);
    let _: fn(&Map<String, Named>, &Named) -> bool = Map::remove;
    let _: [fn(&Map<String, Named>) -> usize; 2] = [Map::len, Map::bytes];
    let _: fn(&Map<String, Named>) -> bool = Map::is_empty;
    let _: fn(&Map<String, Named>) -> Vec<Arc<Named>> = Map::values;

    let _: fn() -> Once<u8> = Once::new;
    let _: fn(&Once<u8>) -> Option<&u8> = Once::get;
    let _: fn(&Once<u8>, u8) -> Result<(), u8> = Once::set;
    let _: fn(&Once<u8>, fn() -> u8) -> &u8 = |cell, make| cell.get_or(make);
    let _: fn(Once<u8>) -> Option<u8> = Once::into_inner;

    let _: fn(&'static str) -> thread::Builder = |name| thread::Builder::new(name);
    let _: fn(thread::Builder, usize) -> thread::Builder = thread::Builder::stack;
    let _: fn(thread::Builder, fn()) -> io::Result<thread::JoinHandle<()>> = |builder, body| builder.spawn(body);
    let _: fn(thread::Builder, fn() -> Rc<u8>, fn()) -> io::Result<thread::JoinHandle<()>> =
        |builder, first, body| builder.spawn_keeping(first, body);
    let _: fn() -> thread::Conditions = thread::Conditions::of_this_thread;
    let _: fn(&thread::Conditions) -> Result<(), thread::TakeOnError> = thread::Conditions::take_on;
    let _: fn() -> thread::ThreadId = thread::id;
    let _: fn() -> usize = thread::cores;
    let _: fn() = thread::yield_now;
    let _: fn(thread::JoinHandle<()>) -> std::thread::Result<()> = thread::JoinHandle::join;
    let _: (usize, bool) = (thread::LEAST_STACK, MODEL);
    let _: fn(atomic::Ordering) = fence;
    let _: fn(&'static LocalKey<u8>, fn(&u8) -> u8) -> u8 = |slot, read| slot.with(read);
}
