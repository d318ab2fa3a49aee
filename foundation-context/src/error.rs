//! An error that remembers the context it was born in.

use std::{error::Error, fmt};

use crate::{Context, current};

/// An error and the context it was born in. Reads as the error does, with the fields in brackets.
#[derive(Clone, Debug)]
pub struct Contextual<E> {
    error: E,
    context: Context,
}

impl<E> Contextual<E> {
    /// The context the error was born in.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The error alone.
    pub fn into_inner(self) -> E {
        self.error
    }
}

impl<E: fmt::Display> fmt::Display for Contextual<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.context.fields();
        match fields.is_empty() {
            true => self.error.fmt(f),
            false => write!(f, "{} ({fields})", self.error),
        }
    }
}

impl<E: Error> Error for Contextual<E> {
    /// The error's own source: this one stands for the error itself.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Gives an error the context of the place where it was born.
pub trait InContext<T, E> {
    /// Wraps the error together with the current context.
    ///
    /// # Errors
    /// The error, in its context.
    fn in_context(self) -> Result<T, Contextual<E>>;
}

impl<T, E> InContext<T, E> for Result<T, E> {
    fn in_context(self) -> Result<T, Contextual<E>> {
        self.map_err(|error| Contextual { error, context: current() })
    }
}
