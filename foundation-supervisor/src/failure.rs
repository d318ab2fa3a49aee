//! Why a worker's body gave up.

use std::{error::Error, fmt, sync::Arc};

/// Why a worker's body gave up: any error, by `?`; or a word, if it did not fail at all ([`shutdown`](Self::shutdown)).
pub struct Failure(Box<dyn Error + Send + Sync>);

impl Failure {
    /// A failure that is only a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// No failure: the body ends because it wants to, and leaves this word. OTP's `{shutdown, Term}`.
    ///
    /// The worker's exit is [`Exit::ShutdownWith`](foundation_registry::Exit::ShutdownWith), also if it was told to stop
    /// before. That is clean: there is no crash report, and a [transient](crate::Restart::Transient) child is not
    /// restarted; a [permanent](crate::Restart::Permanent) one is, as after every end. Before
    /// [`Life::ready`](crate::Life::ready), where that is waited for, it is a failed start like any other.
    ///
    /// ```
    /// use foundation_supervisor::{Failure, Life};
    ///
    /// fn serve(life: &Life) -> Result<(), Failure> {
    ///     match life.find::<u16>("port") {
    ///         Some(_port) => Ok(()),
    ///         None => Err(Failure::shutdown("moved on")),
    ///     }
    /// }
    /// ```
    pub fn shutdown(word: impl Into<Arc<str>>) -> Self {
        Self(Box::new(Word(word.into())))
    }

    /// The word that it [ends with](Self::shutdown); `None`: it failed.
    pub fn word(&self) -> Option<&Arc<str>> {
        self.0.downcast_ref().map(|Word(word)| word)
    }

    /// The error; of a [word](Self::word) one that reads so.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// What a body that did not fail left.
struct Word(Arc<str>);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shutdown").field(&self.0).finish()
    }
}

impl Error for Word {}

/// The error and what it comes from, outermost first.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
