//! Who tries letters again: see the module above.

use std::{sync::Arc, time::Duration};

use foundation_registry::OwnerRecvError;
use foundation_supervisor::{Backoff, ChildSpec, Failure, Life, System};
use foundation_sync::{Deadline, RecvError, SECONDS_5, crash, planted, reached};

use super::{
    Letters,
    letter::Reason,
    load::{Load, Past},
    shelf::Due,
};

impl Letters {
    /// A letter is due then. The postman is needed for each, for his start may have failed when he was needed before.
    pub(super) fn schedule(self: &Arc<Self>, system: &System, due: Due) {
        match due {
            Due::Never => {}
            Due::Later => self.need_postman(system),
            Due::First => self.call_postman(system),
        }
    }

    /// Something is due earlier than the postman knows.
    pub(super) fn call_postman(self: &Arc<Self>, system: &System) {
        self.need_postman(system);
        if planted!("letters: nobody rings") {
            return;
        }
        // Full: it has been rung.
        _ = self.bell.try_send(());
    }

    fn need_postman(self: &Arc<Self>, system: &System) {
        self.postman.need(system, || {
            let letters = Arc::clone(self);
            ChildSpec::worker("postman", move |life| letters.deliver(life))
                .backoff(Backoff::exponential(Duration::from_millis(10), Duration::from_secs(1)))
                // Its crashes end nobody: with its backoff it can't crash as often as this.
                .intensity(1000, SECONDS_5)
        });
    }

    /// The postman's life.
    fn deliver(self: &Arc<Self>, life: &Life) -> Result<(), Failure> {
        self.postman.runs();
        let system = life.system();
        loop {
            let due = self.shelf.lock().due(system.clock().now());
            if life.told() {
                break;
            }
            if let Some(number) = due {
                _ = self.attempt(system, number);
                self.tell(system);
                continue;
            }
            if self.desk.take_due(system.clock().now()) {
                self.tell(system);
            }
            let letter = self.shelf.lock().next_due();
            let until = match [letter, self.desk.due()].into_iter().flatten().min() {
                Some(at) => system.clock().at(at),
                None => Deadline::never(),
            };
            match life.recv(&self.bell, until) {
                Ok(()) | Err(OwnerRecvError::Recv(RecvError::TimedOut)) => {}
                Err(OwnerRecvError::Recv(RecvError::Stopped | RecvError::Closed)) => break,
                Err(OwnerRecvError::Fenced(fenced)) => return Err(fenced.into()),
            }
        }
        // The courier ends after him, and may have room by now.
        self.tell_left(system);
        Ok(())
    }

    /// Sends one letter again, unless somebody else has it, or it is there no more.
    pub(super) fn attempt(self: &Arc<Self>, system: &System, number: u64) -> Option<Result<(), Reason>> {
        let taken = self.shelf.lock().take_out(number);
        let Some((load, past)) = taken else {
            reached!("letters: two try one letter");
            return None;
        };
        let mut out = Out { letters: self, system, number, load: Some(load), reason: None };
        if planted!("letters: a letter is delivered before it is sent") {
            self.shelf.lock().delivered(number);
        }
        crash!("letters: with a letter in hand");
        #[cfg(test)]
        self.crash_if_told();
        Some(out.send(past))
    }

    #[cfg(test)]
    fn crash_if_told(&self) {
        use foundation_sync::atomic::Ordering;
        assert!(!self.fault.swap(false, Ordering::Relaxed), "the test crashes whoever has a letter in hand");
    }
}

/// A letter that is out: in somebody's hand.
struct Out<'a> {
    letters: &'a Arc<Letters>,
    system: &'a System,
    number: u64,
    /// Nothing: it was handed over.
    load: Option<Box<dyn Load>>,
    reason: Option<Reason>,
}

impl Out<'_> {
    fn send(&mut self, past: Past) -> Result<(), Reason> {
        let load = self.load.take().expect("it is sent once");
        match load.send(past) {
            Ok(()) => Ok(()),
            Err((load, reason)) => {
                self.load = Some(load);
                self.reason = Some(reason.clone());
                Err(reason)
            }
        }
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        let Self { letters, system, number, load, reason } = self;
        match load.take() {
            None => letters.shelf.lock().delivered(*number),
            Some(load) => {
                let (hopeless, now) = (load.is_hopeless(), system.clock().now());
                let due = {
                    let mut shelf = letters.shelf.lock();
                    shelf.failed(*number, load, reason.take(), hopeless, now)
                };
                // Tried by hand, it may be due before what the postman waits for.
                letters.schedule(system, due);
            }
        }
        system.activity().bump();
    }
}
