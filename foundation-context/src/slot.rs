//! What a thread keeps: who works there, its frame, its home, its open spans. The one thread-local state of the workspace
//! but for the panic hook's note.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use foundation_sync::thread_slot;

use crate::{
    Contexts, Incarnation,
    context::Frame,
    ends::{Ends, NOBODY},
    stack::Stack,
};

thread_slot! {
    /// Whose thread this is, for the time being.
    pub(crate) static WHO: Cell<Option<Incarnation>> = Cell::new(None);
    /// The innermost frame of the thread's context: one chain, whatever the mode.
    pub(crate) static FRAME: RefCell<Option<Arc<Frame>>> = RefCell::new(None);
    /// The universe whose thread this is, as far as contexts go.
    pub(crate) static HOME: RefCell<Option<Contexts>> = RefCell::new(None);
    /// The spans that are open here.
    pub(crate) static SPANS: RefCell<Stack> = RefCell::new(Stack::new());
    /// Which of those who are told when the thread ends was asked last, and the thread's number there.
    pub(crate) static KEEPER: Cell<(usize, u64)> = Cell::new(NOBODY);
    /// Who is told when the thread ends.
    pub(crate) static ENDS: RefCell<Ends> = RefCell::new(Ends::new());
}
