//! What a test does while the file is written.

use std::{
    io::{self, Write},
    path::Path,
};

use foundation_sync::{
    Mutex,
    file::{ReplaceError, Step, replace_by_steps},
};

type Look = dyn FnMut(Option<Step>) -> io::Result<()> + Send;

/// What is done after each byte, for which there is no step, and after each step.
#[derive(Default)]
pub(in crate::store) struct During(Mutex<Option<Box<Look>>>);

impl During {
    pub(super) fn look(&self, look: impl FnMut(Option<Step>) -> io::Result<()> + Send + 'static) {
        *self.0.lock() = Some(Box::new(look));
    }

    pub(super) fn end(&self) {
        *self.0.lock() = None;
    }

    /// `before` is what the store itself looks at just before the rename.
    pub(in crate::store) fn replace(
        &self,
        path: &Path,
        text: &str,
        mut before: impl FnMut() -> io::Result<()>,
    ) -> Result<(), ReplaceError> {
        let mut done = |step| if step == Step::Synchronised { before() } else { Ok(()) };
        let look = self.0.lock().take();
        let Some(look) = look else { return replace_by_steps(path, |out| out.write_all(text.as_bytes()), done) };
        let look = std::cell::RefCell::new(look);
        let write = |out: &mut dyn Write| {
            text.as_bytes().chunks(1).try_for_each(|byte| {
                out.write_all(byte)?;
                out.flush()?;
                look.borrow_mut()(None)
            })
        };
        let replaced = replace_by_steps(path, write, |step| look.borrow_mut()(Some(step)).and_then(|()| done(step)));
        *self.0.lock() = Some(look.into_inner());
        replaced
    }
}
