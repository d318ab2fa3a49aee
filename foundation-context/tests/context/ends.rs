//! A context is there for whoever asks at a bad time.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use foundation_context::{
    Context, Contexts, InContext, Incarnation, breadcrumb, clear, correlate, current, current_span, fields,
    incarnation, inherit, scope, set, with, with_only,
};
use foundation_sync::{Full, Queue, thread, thread_slot};

use crate::text;

/// Calls everything, and says what it saw.
fn everything() -> String {
    let kept = with(fields! { a: 1 }, current);
    let guard = scope(fields! { b: 2 });
    set(fields! { c: 3 });
    breadcrumb("asked", fields! {});
    let inner = kept.enter(|| with_only(fields! { d: 4 }, text));
    _ = kept.take_on(|| correlate(text));
    clear();
    drop(guard);
    _ = (incarnation(), current_span(), inherit(text)());
    _ = Err::<(), _>("no").in_context();
    Contexts::default().enter(|| ());
    Contexts::default().bind(Context::of(Incarnation { id: 1, generation: 1 }, fields! { e: 5 }));
    inner
}

/// Asks when it is dropped.
struct Asks(Queue<String>);

impl Drop for Asks {
    fn drop(&mut self) {
        _ = self.0.try_send(everything());
    }
}

thread_slot! {
    static ASKS: RefCell<Option<Asks>> = RefCell::new(None);
}

#[test]
fn whoever_asks_while_the_thread_ends_gets_an_answer() {
    // Slots are destroyed in an order that depends on which was used first.
    for first in [false, true] {
        let said = Queue::bounded(1, Full::Refuse);
        let tells = said.clone();
        let body = move || {
            if first {
                _ = everything();
            }
            ASKS.set(Some(Asks(tells)));
            if !first {
                _ = everything();
            }
        };
        let ended = thread::Builder::new("ends").spawn(body).expect("a thread").join();
        assert!(ended.is_ok(), "it does not panic");
        let seen = said.try_recv().expect("it was asked");
        assert!(seen.is_empty() || seen == "d: 4", "{seen}");
    }
}

#[test]
fn whoever_asks_while_a_panic_passes_gets_the_context_of_the_place() {
    let said = Queue::bounded(1, Full::Refuse);
    struct Says(Queue<String>);

    impl Drop for Says {
        fn drop(&mut self) {
            _ = self.0.try_send(text());
        }
    }

    let panicked = catch_unwind(AssertUnwindSafe(|| {
        with(fields! { a: 1 }, || {
            let _says = Says(said.clone());
            Context::empty().enter(|| with(fields! { b: 2 }, || resume_unwind(Box::new(()))))
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(said.try_recv().as_deref(), Ok("a: 1"));
    assert_eq!(text(), "");
}
