//! What contexts promise, in one program.
#![cfg(not(any(loom, shuttle)))]
#![expect(clippy::disallowed_macros, reason = "a slot whose destructor asks for the context while its thread ends")]

mod contexts;
mod ends;
mod errors;
mod fields;
#[cfg(feature = "legacy")]
mod legacy;
mod limits;
#[cfg(feature = "tracing")]
mod logging;
mod oracle;
mod scopes;
mod trail;

use std::sync::Arc;

use foundation_context::current;
use foundation_sync::{Mutex, thread};

/// What the calling thread's context says.
fn text() -> String {
    current().to_string()
}

/// Runs it on a thread of its own.
fn elsewhere<R: Send + 'static>(job: impl FnOnce() -> R + Send + 'static) -> R {
    let answer = Arc::new(Mutex::new(None));
    let told = Arc::clone(&answer);
    let body = move || {
        let done = job();
        *told.lock() = Some(done);
    };
    thread::Builder::new("elsewhere").spawn(body).expect("a thread").join().expect("it does not panic");
    let answer = answer.lock().take();
    answer.expect("it has ended")
}
