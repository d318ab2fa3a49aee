//! Waiting for somebody's end.

use std::sync::Arc;

use foundation_context::Incarnation;
use foundation_sync::{Full, Permit, Queue, RecvError, ReserveError, TryRecvError, Until};

use crate::{
    Down, Owner, Owners,
    vigil::{Asked, Vigil},
};

/// The wait for one incarnation's end. Dropped, it is withdrawn, and no news is left behind.
///
/// Two monitors of one incarnation are independent. One may monitor oneself.
#[derive(Debug)]
#[must_use = "a monitor that is dropped hears nothing"]
pub struct Monitor {
    news: Queue<Down>,
    /// Nothing, if the news was there at once.
    vigil: Option<Arc<Vigil>>,
}

/// What is said about a monitor when it is made.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a monitor is made with them"]
pub struct MonitorOptions {
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) caller: Option<Owner>,
}

impl MonitorOptions {
    /// No tag, no caller.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it is for, in lists and events.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// On whose behalf it is made: its end drops the monitor, wherever that is kept. (Not if that is the one whose end is
    /// waited for: that gets its Down.)
    pub fn caller(mut self, caller: &Owner) -> Self {
        self.caller = Some(caller.clone());
        self
    }
}

impl Monitor {
    /// Waits for the news. There is exactly one.
    ///
    /// # Errors
    /// It still lives at the deadline, or the caller was told to stop; or no news comes any more, for it was received, or
    /// the [caller](MonitorOptions::caller) has ended before ([`RecvError::Closed`]).
    #[track_caller]
    pub fn recv<'a>(&self, until: impl Into<Until<'a>>) -> Result<Down, RecvError> {
        self.news.recv(until)
    }

    /// The news, if it is there. Who has received it learns that none comes any more.
    ///
    /// # Errors
    /// It still lives ([`TryRecvError::Empty`]); or no news comes any more, as in [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Down, TryRecvError> {
        self.news.try_recv()
    }

    /// What `begin` begins, with the place that is kept for its news and the queue that the place is in.
    fn begin(begin: impl FnOnce(Permit<Down>, Queue<Down>) -> Option<Arc<Vigil>>) -> Self {
        let news = Queue::bounded(1, Full::Refuse);
        let place = news.reserve().expect("the queue is new and has room for one");
        let vigil = begin(place, news.clone());
        Self { news, vigil }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if let Some(vigil) = self.vigil.take() {
            vigil.withdraw();
        }
    }
}

impl Owners {
    /// Asks for the news of its end: exactly one Down, at once if it has ended.
    #[track_caller]
    pub fn monitor(&self, incarnation: Incarnation) -> Monitor {
        self.monitor_with(incarnation, MonitorOptions::new())
    }

    /// The same, with more said about it.
    ///
    /// ```
    /// use foundation_context::Incarnation;
    /// use foundation_registry::{Exit, MonitorOptions, Owners};
    /// use foundation_sync::TryRecvError;
    ///
    /// let owners = Owners::default();
    /// let [pool, worker] = [1, 2].map(|id| owners.begin(Incarnation { id, generation: 1 }, "w"));
    /// let monitor = owners.monitor_with(worker.incarnation(), MonitorOptions::new().tag("pool").caller(&pool));
    /// assert_eq!(monitor.try_recv(), Err(TryRecvError::Empty), "it lives");
    /// drop(pool.end(Exit::Normal));
    /// assert_eq!(monitor.try_recv(), Err(TryRecvError::Closed), "nobody waits for it any more");
    /// ```
    #[track_caller]
    pub fn monitor_with(&self, incarnation: Incarnation, options: MonitorOptions) -> Monitor {
        let asked = Asked::here(options);
        Monitor::begin(|place, own| self.keep_vigil(incarnation, asked, place, Some(own)))
    }

    /// Asks for the news of its end, to be brought to a queue of the caller's, in which a place is kept for it from now on.
    /// It is withdrawn by nobody, but [a caller's](MonitorOptions::caller) end gives the place up.
    ///
    /// # Errors
    /// There is no room for one more Down, or the queue is closed.
    #[track_caller]
    pub fn monitor_into(&self, incarnation: Incarnation, news: &Queue<Down>) -> Result<(), ReserveError> {
        self.monitor_into_with(incarnation, news, MonitorOptions::new())
    }

    /// The same, with more said about it.
    ///
    /// # Errors
    /// There is no room for one more Down, or the queue is closed.
    #[track_caller]
    pub fn monitor_into_with(
        &self,
        incarnation: Incarnation,
        news: &Queue<Down>,
        options: MonitorOptions,
    ) -> Result<(), ReserveError> {
        self.keep_vigil(incarnation, Asked::here(options), news.reserve()?, None);
        Ok(())
    }
}

impl Owner {
    /// Asks for the news of its end: exactly one Down, at once if it has ended. However long ago that was: an owner
    /// remembers its own end.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        self.monitor_with(MonitorOptions::new())
    }

    /// The same, with more said about it.
    #[track_caller]
    pub fn monitor_with(&self, options: MonitorOptions) -> Monitor {
        let asked = Asked::here(options);
        Monitor::begin(|place, own| Some(self.keep_vigil(asked, place, Some(own))))
    }
}
