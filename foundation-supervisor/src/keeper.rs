//! What is kept for a child from life to life, and is told when none is to come.

use std::{any::Any, sync::Arc};

use crate::{
    panics::catch,
    spec::{Kind, Making},
};

/// What is there for a child between its lives: see [`ChildSpec::kept_by`](crate::ChildSpec::kept_by).
///
/// A server's mailbox is one: what waits there waits for the next life, and comes back when there will be none.
pub trait Keeper: Send + Sync + 'static {
    /// The child has ended, and no life is to come unless somebody asks for one: it was terminated, also while its restart
    /// waited; or it has ended in a way after which it is not restarted; or its spec is gone. Of a child of a supervisor
    /// that has ended itself, when that one rests; of one that was [started later](crate::Tree::start_child), when that one
    /// ends, for its next life would not have it. It may be told more than once, and is told before the caller of
    /// [`terminate_child`](crate::Tree::terminate_child) has its answer, and before any life that comes all the same.
    ///
    /// Called by the supervisor, where no user's code may run: it takes locks of its own at most, waits for nobody, and
    /// drops no user's value. Whether something is to be [settled](Self::settle).
    fn rests(&self) -> bool;

    /// Where users' code may run: what was left is seen to. A life that came all the same may serve by then.
    fn settle(&self) {}
}

/// A value that needs not be told: that it is dropped is enough.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Any + Send + Sync> Keeper for Plain<T> {
    fn rests(&self) -> bool {
        _ = &self.0;
        false
    }
}

/// Keepers who have something to settle: to be dropped where users' code may run.
pub(crate) struct Unsettled(Vec<Arc<dyn Keeper>>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        for keeper in &self.0 {
            // One that panics takes nothing from the others.
            _ = catch(|| keeper.settle());
        }
    }
}

impl Making {
    /// Tells all that is kept with it, and below it. Nothing, if nobody has something to settle.
    pub(crate) fn rests(&self) -> Option<Unsettled> {
        let mut unsettled = Vec::new();
        self.tell(&mut unsettled);
        (!unsettled.is_empty()).then_some(Unsettled(unsettled))
    }

    fn tell(&self, unsettled: &mut Vec<Arc<dyn Keeper>>) {
        unsettled.extend(self.kept.iter().filter(|keeper| keeper.rests()).cloned());
        if let Kind::Supervisor(supervisor) = &self.kind {
            supervisor.children.iter().for_each(|child| child.making.tell(unsettled));
        }
    }
}
