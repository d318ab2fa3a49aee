//! What a thread keeps: who works there, what is said there, its home, its open spans. The one thread-local state of the
//! workspace but for the panic hook's note.

use std::cell::{Cell, RefCell};

use foundation_sync::thread_slot;

use crate::{
    Contexts, Incarnation,
    ends::{Ends, NOBODY},
    inside::Inside,
    scope::Pile,
    stack::Stack,
};

thread_slot! {
    /// Whose thread this is, for the time being.
    pub(crate) static WHO: Cell<Option<Incarnation>> = Cell::new(None);
    /// What is said on the thread: one pile, whatever the mode.
    pub(crate) static PILE: RefCell<Pile> = RefCell::new(Pile::new());
    /// The universe whose thread this is, as far as contexts go.
    pub(crate) static HOME: RefCell<Option<Contexts>> = RefCell::new(None);
    /// The spans that are open here.
    pub(crate) static SPANS: RefCell<Stack> = RefCell::new(Stack::new());
    /// Whose code runs here, of those who must not wait for themselves.
    pub(crate) static INSIDE: Inside = Inside::new();
    /// Which of those who are told when the thread ends was asked last, and the thread's number there.
    pub(crate) static KEEPER: Cell<(usize, u64)> = Cell::new(NOBODY);
    /// Who is told when the thread ends.
    pub(crate) static ENDS: RefCell<Ends> = RefCell::new(Ends::new());
}
