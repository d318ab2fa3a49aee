//! What may be done with the types: send them, share them, unwind past them, print them.

use std::{
    cell::Cell,
    panic::{RefUnwindSafe, UnwindSafe},
};

use foundation_registry::{
    Address, Change, Down, Entry, Exit, Listener, Monitor, Name, Owner, OwnerGuard, Owners, Query, RegisterError,
    Registration, Registry, RegistryBuilder, Remains, UpdateError, Watch,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

use crate::common::Way;

assert_impl_all!(Registry<u8>: Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Entry<u8>: Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Change<u8>: Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Name<u8>: Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Watch<u8>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Listener<u8>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Registration: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(RegistryBuilder<'static, u8>: Send, Sync);
assert_impl_all!(Owners: Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Owner: Clone, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(OwnerGuard: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Monitor: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Remains: Send, Sync);
assert_impl_all!(Address: Clone, Send, Sync);
assert_impl_all!(Query: Clone, PartialEq, Default, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Exit: Clone, Eq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Down: Clone, Eq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(RegisterError: Clone, Eq, std::error::Error, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(UpdateError: Clone, Eq, std::error::Error, Send, Sync, UnwindSafe, RefUnwindSafe);
// Who holds one of these is told when it ends, and a second handle would not be.
assert_not_impl_any!(Registration: Clone);
assert_not_impl_any!(Monitor: Clone);
// Who ends a life is who began it, or was given the right to.
assert_not_impl_any!(OwnerGuard: Clone);
trait NotItsOwn {
    fn end(&self) {}
}
impl NotItsOwn for Owner {}
const _: fn(&Owner) = |owner| owner.end(); // an `end` of its own would come before this one
// An entry is shared between threads, and so is what it stands for.
assert_not_impl_any!(Entry<Cell<u8>>: Send, Sync);

/// What has no `Debug` may be a value all the same.
struct Opaque;

#[test]
fn everything_prints_whatever_its_values_are() {
    let r = Way::New.registry();
    let owner = r.begin(1);
    let registration = r.named("n", &owner, Opaque);
    let listener = r.listen(1);
    r.joined("g", &owner, Opaque).keep();
    let waiting = format!("{listener:?}");
    let printed = format!(
        "{:?} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?}",
        *r,
        r.lookup("n"),
        r.name("n"),
        r.watch("n"),
        waiting,
        listener.try_recv(),
        registration,
        r.owners,
        owner,
    );
    assert_eq!(
        printed,
        "[n: w (1#1)] Some(n: w (1#1)) Name(n) Watch(n) Listener(1 waiting, 0 lost) Ok(Registered g: w (1#1)) \
         Registration(w (1#1)) [w (1#1)] OwnerGuard(w (1#1))"
    );
    let builder = Registry::<Opaque>::builder(&r.owners, &r.telemetry).capacity(5).index("zone").index("zone");
    assert_eq!(format!("{builder:?}"), "RegistryBuilder(room for 5, indexed: [\"zone\"])");
}

#[test]
fn what_a_registry_holds_is_known_from_what_is_put_in() {
    let (owners, telemetry) = (foundation_registry::Owners::default(), foundation_telemetry::Telemetry::new());
    let registry = Registry::builder(&owners, &telemetry).capacity(1).build();
    let owner = owners.begin(crate::common::who(1), "w");
    registry.register("n", &owner, 5_u8, foundation_context::Fields::new()).expect("it is free").keep();
    assert_eq!(registry.lookup("n").map(|entry| *entry.value()), Some(5));
}
