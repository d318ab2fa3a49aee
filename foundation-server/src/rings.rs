//! Rings of calls: A waits for B, which waits for A.
//!
//! # Protocol
//! Who is about to sleep over a call enters an edge: from its thread to the server that it waits for. Under the same lock it
//! follows the edges from there: that server's thread, the server that this one waits for, and so on. If that leads back to
//! its own thread, this call closes the ring. So of several that close one ring at once, the last to enter finds it.
//!
//! An edge whose call is settled does not count: its thread has not noticed yet, and goes on. A hot call is answered before
//! its caller sleeps, and never comes here.
//!
//! Who [sends](crate::ServerRef::send) or [broadcasts](crate::broadcast()) and waits for room enters an edge, too, which is
//! settled while there is room: its thread may be about to take it. So a ring is not found if others take that room before
//! it, and ends with a deadline.
//!
//! Edges are of threads, not of contexts: a thread that a server has started, and that carries its context, is not the
//! server. The edges of one universe are in one table; a ring over two universes is not found, and ends with a deadline.

use std::{collections::HashMap, sync::Arc};

use foundation_sync::{Mutex, planted, reached, thread};

/// A call that is waited for, or room in a mailbox.
pub(crate) trait Waited: Send + Sync {
    /// Whether the answer is still to come, or the room.
    fn is_open(&self) -> bool;
}

/// Who is to give an answer.
pub(crate) trait Answers: Send + Sync {
    fn name(&self) -> &Arc<str>;

    /// The thread that serves there now.
    fn thread(&self) -> Option<thread::ThreadId>;
}

/// Handles of what is there already: a wait allocates nothing.
#[derive(Clone)]
pub(crate) struct Wait {
    call: Arc<dyn Waited>,
    whom: Arc<dyn Answers>,
}

impl Wait {
    pub(crate) fn new<C: Waited + 'static, W: Answers + 'static>(call: &Arc<C>, whom: &Arc<W>) -> Self {
        Self { call: Arc::<C>::clone(call), whom: Arc::<W>::clone(whom) }
    }
}

/// The edges of one universe.
#[derive(Default)]
pub(crate) struct Rings {
    waits: Mutex<HashMap<thread::ThreadId, Wait>>,
}

/// An edge, until it is dropped.
pub(crate) struct Edge<'a> {
    rings: &'a Rings,
    from: thread::ThreadId,
}

impl Rings {
    /// The calling thread is about to wait for this.
    ///
    /// # Errors
    /// The servers of the ring that it would close.
    pub(crate) fn enter(&self, wait: Wait) -> Result<Edge<'_>, Vec<Arc<str>>> {
        let from = thread::id();
        let mut waits = self.waits.lock();
        // Of those that wait themselves: usually nobody, and this allocates nothing.
        let mut servers = Vec::new();
        let mut next = Some(wait.clone());
        // There is no ring already, or whoever closed it would have been told; but should there be one, it has an end.
        while let Some(Wait { whom, .. }) = next.take().filter(|_| servers.len() <= waits.len()) {
            let Some(thread) = whom.thread() else { break };
            if thread == from {
                if planted!("server: a ring is not looked for") {
                    break;
                }
                reached!("server: a ring was closed");
                servers.push(Arc::clone(whom.name()));
                return Err(servers);
            }
            next = waits.get(&thread).filter(|wait| counts(&*wait.call)).cloned();
            if next.is_some() {
                servers.push(Arc::clone(whom.name()));
            }
        }
        waits.insert(from, wait);
        Ok(Edge { rings: self, from })
    }
}

/// Whether this edge counts.
fn counts(wait: &dyn Waited) -> bool {
    let open = wait.is_open();
    if !open {
        reached!("server: an edge was answered already");
    }
    open || planted!("server: an edge counts that was answered")
}

impl Drop for Edge<'_> {
    fn drop(&mut self) {
        let wait = self.rings.waits.lock().remove(&self.from);
        drop(wait);
    }
}
