//! A worker's thread, and the exit sequence.
//!
//! # Protocol: the exit sequence
//! Told once, here: body returned or caught -> this life's hold on it dropped (with its captures, if nobody comes after) ->
//! open spans closed as aborted -> names out, fenced, exit set, monitors get their Down
//! ([`OwnerGuard::end`](foundation_registry::OwnerGuard::end) tells that part) -> the supervisor gets the news: a restart
//! happens here, on the dying thread, and the report goes to the courier -> what it held is dropped -> the thread ends. The
//! report goes with the turn that hears the news, and so before the end of the tree above, and with it of the universe: race
//! *report against the end of everything*. It runs after the panic was caught, never from a `Drop`. Nothing before "exit
//! set" may come after it; everything after it may be late.

use std::sync::Arc;

use foundation_context::{Context, Contextual, Fields, carried};
use foundation_registry::Exit;
use foundation_sync::planted;

use crate::{
    CrashReport, Failure, Life,
    core::Event,
    courier::Job,
    panics::{catch, count_on_this_thread},
    report::MOST_SPANS,
    spec::Body,
    text::render,
};

/// One life, from the first instruction to the last.
pub(crate) fn live(life: Life, body: Arc<Body>, fields: Fields) {
    life.orders.checkpoints.begin();
    count_on_this_thread(life.system.panics());
    life.system.contexts().bind(Context::of(life.incarnation(), fields));
    let outcome = catch(|| body(&life));
    let dropped = catch(|| drop(body));
    let closed = catch(|| life.system.telemetry().close_spans_of(life.incarnation(), MOST_SPANS));
    let (open, spans) = closed.unwrap_or_default();
    let told = life.orders.cause();
    // A body that left a word has not failed.
    let outcome = outcome.map(|done| match done {
        Ok(()) => Ok(None),
        Err(failure) => failure.word().cloned().map(Some).ok_or(failure),
    });
    let (exit, context, failure) = match (outcome, dropped) {
        (Err(_), _) if told.is_some() && planted!("worker: a stop hides a panic") => {
            (told.map_or(Exit::Normal, Exit::Shutdown), None, None)
        }
        (Err(caught), _) | (Ok(Ok(_)), Err(caught)) => {
            caught.ends_a_life();
            (Exit::Panicked(caught.panic), caught.context, None)
        }
        (Ok(Err(failure)), _) => (failed(&failure), born_in(&failure), Some(failure)),
        (Ok(Ok(Some(word))), Ok(())) => (Exit::ShutdownWith(word), None, None),
        (Ok(Ok(None)), Ok(())) => (told.map_or(Exit::Normal, Exit::Shutdown), None, None),
    };
    let bound = carried();
    life.system.contexts().bind(Context::empty());
    let Life { system, orders, tree, who, restart: _ } = life;
    let remains = orders.ender.end(exit.clone());
    let mut failure = failure;
    let (worker, incarnation) = (Arc::clone(orders.ender.name()), orders.ender.incarnation());
    if remains.is_none() {
        // It was abandoned before: a late exit, never a second Down.
        system.tell(Job::LateExit { worker, incarnation, exit: exit.clone() });
    } else if !exit.is_clean() {
        let at = system.clock().now();
        let mut report = CrashReport::new(worker, incarnation, at, exit.clone());
        report.within(&context.unwrap_or(bound), system.clock());
        (report.more_spans, report.spans) = (open - spans.len(), spans);
        report.checkpoint = orders.checkpoints.place();
        *orders.report.lock() = Some(Box::new((report, failure.take())));
    }
    tree.tell(match orders.ignored() && exit.is_clean() {
        true => Event::Ignored(who),
        false => Event::Exited(who, exit),
    });
    // What may be the last handle to a user's value.
    _ = catch(|| orders.checkpoints.end());
    _ = catch(|| drop((remains, failure, tree, system, orders)));
}

/// How many bytes of an error's text are kept.
const MOST_TEXT: usize = 16 * 1024;

/// The context that the error remembers, if contexts leave their threads here. What leads to it is a user's code.
fn born_in(failure: &Failure) -> Option<Context> {
    carried().incarnation()?;
    catch(|| Contextual::find(failure.error()).map(|error| error.context().clone())).ok().flatten()
}

/// The error's text is a user's code, too.
fn failed(failure: &Failure) -> Exit {
    match catch(|| render(failure, MOST_TEXT)) {
        Ok(text) => Exit::Failed(text.into()),
        Err(caught) => Exit::Failed(format!("an error whose text can't be had: {}", caught.panic).into()),
    }
}
