//! Waiting for somebody's end.

use foundation_sync::{Full, Permit, Queue, RecvError, TryRecvError, Until};

use crate::{Down, Owner, owner::Owners};

/// The wait for one incarnation's end. Dropped, it is withdrawn, and no news is left behind.
#[derive(Debug)]
#[must_use = "a monitor that is dropped hears nothing"]
pub struct Monitor {
    news: Queue<Down>,
    /// With whom it waits, and under which key.
    waiting: Option<(Owner, usize)>,
}

impl Monitor {
    /// A queue for one Down, and the place in it.
    pub(crate) fn place() -> (Queue<Down>, Permit<Down>) {
        let news = Queue::bounded(1, Full::Refuse);
        let place = news.reserve().expect("the queue is new and has room for one");
        (news, place)
    }

    pub(crate) fn new(news: Queue<Down>, waiting: Option<(Owner, usize)>) -> Self {
        Self { news, waiting }
    }

    /// Waits for the news. There is exactly one.
    ///
    /// # Errors
    /// It still lives at the deadline, or the caller was told to stop.
    #[track_caller]
    pub fn recv<'a>(&self, until: impl Into<Until<'a>>) -> Result<Down, RecvError> {
        self.news.recv(until)
    }

    /// The news, if it is there.
    ///
    /// # Errors
    /// It still lives.
    pub fn try_recv(&self) -> Result<Down, TryRecvError> {
        self.news.try_recv()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if let Some((owner, key)) = self.waiting.take() {
            Owners::unwatch(&owner, key);
        }
    }
}
