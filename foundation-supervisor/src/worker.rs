//! A worker's thread, and the exit sequence.
//!
//! # Protocol: the exit sequence
//! Told once, here: body returned or caught -> captures dropped -> open spans closed as aborted -> names out, fenced,
//! exit set, monitors get their Down ([`Owner::end`](foundation_registry::Owner::end) tells that part) -> report to the
//! courier -> the supervisor gets the news, and a restart happens here, on the dying thread -> what it held is dropped ->
//! the thread ends. The report goes first because the news may end the tree, and with it the universe: race *report
//! against the end of everything*. It runs after the panic was caught, never from a `Drop`. Nothing before "exit set" may
//! come after it; everything after it may be late.

use std::sync::Arc;

use foundation_context::{Context, Fields, carried};
use foundation_registry::Exit;
use foundation_sync::planted;

use crate::{CrashReport, Failure, Life, core::Event, courier::Job, panics::catch, spec::Body};

/// One life, from the first instruction to the last.
pub(crate) fn live(life: Life, body: Arc<Body>, fields: Fields) {
    life.system.contexts().bind(Context::of(life.incarnation(), fields));
    let outcome = catch(|| body(&life));
    let dropped = catch(|| drop(body));
    _ = catch(|| life.system.telemetry().close_spans_of(life.incarnation()));
    let told = life.orders.cause();
    let (exit, context, failure) = match (outcome, dropped) {
        (Err(_), _) if told.is_some() && planted!("worker: a stop hides a panic") => {
            (told.map_or(Exit::Normal, Exit::Shutdown), None, None)
        }
        (Err(caught), _) | (Ok(Ok(())), Err(caught)) => (Exit::Panicked(caught.panic), caught.context, None),
        (Ok(Err(failure)), _) => (failed(&failure), None, Some(failure)),
        (Ok(Ok(())), Ok(())) => (told.map_or(Exit::Normal, Exit::Shutdown), None, None),
    };
    let bound = carried();
    life.system.contexts().bind(Context::empty());
    let Life { system, owner, orders, tree, who } = life;
    let remains = owner.end(exit.clone());
    let mut failure = failure;
    let (worker, incarnation) = (Arc::clone(owner.name()), owner.incarnation());
    if remains.is_none() {
        // It was abandoned before: a late exit, never a second Down.
        system.tell(Job::LateExit { worker, incarnation, exit: exit.clone() });
    } else if !exit.is_clean() {
        let context = context.unwrap_or(bound).fields();
        let (exit, failure) = (exit.clone(), failure.take());
        system.tell(Job::Crashed(CrashReport { worker, incarnation, exit, context, failure }));
    }
    tree.tell(Event::Exited(who, exit));
    // What may be the last handle to a user's value.
    _ = catch(|| drop((remains, failure, tree, system, orders)));
}

/// The error's text is a user's code, too.
fn failed(failure: &Failure) -> Exit {
    match catch(|| failure.to_string()) {
        Ok(text) => Exit::Failed(text.into()),
        Err(caught) => Exit::Failed(format!("an error whose text can't be had: {}", caught.panic).into()),
    }
}
