//! What the services of the workspace have in common that still know an old implementation: thread-private views.
//!
//! The old implementations were thread-private, as a process dictionary is. Here they are not a second store but a *view*
//! of the one there is: what was made in legacy mode is seen by its own thread alone, until the service is switched; from
//! then on everybody sees it, also when the service is switched back. So a switch moves everything in one step, by one
//! store, and nothing becomes invisible to those who could see it before.
//!
//! Without the cargo feature `legacy` there is one mode, and this is nothing at all.

#[cfg(feature = "legacy")]
use crate::{Guard, Switch, thread};

/// How one service works. Without the feature `legacy`: the new way.
#[derive(Clone, Debug, Default)]
pub struct Mode {
    #[cfg(feature = "legacy")]
    switch: Switch,
}

impl Mode {
    /// What decides it: on is the new way.
    #[cfg(feature = "legacy")]
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// Whether the service works the new way now: one load.
    #[cfg(feature = "legacy")]
    pub fn is_new(&self) -> bool {
        self.switch.is_on()
    }

    /// Whether the service works the new way now.
    #[cfg(not(feature = "legacy"))]
    pub fn is_new(&self) -> bool {
        true
    }

    /// Who sees what the calling thread makes now. It remembers, and counts as something that is open from the old mode.
    pub fn view(&self) -> View {
        View {
            #[cfg(feature = "legacy")]
            private: private(self.switch.enter()),
        }
    }

    /// The same for what ends by itself as time goes by: it is not counted.
    pub fn passing_view(&self) -> View {
        View {
            #[cfg(feature = "legacy")]
            private: private(self.switch.remember()),
        }
    }
}

/// Who sees a thing: everybody, or the thread that made it in legacy mode.
#[derive(Debug)]
#[must_use = "it is kept with the thing that it is about"]
pub struct View {
    #[cfg(feature = "legacy")]
    private: Option<(Guard, thread::ThreadId)>,
}

#[cfg(feature = "legacy")]
fn private(guard: Guard) -> Option<(Guard, thread::ThreadId)> {
    if guard.was_on() { None } else { Some((guard, thread::id())) }
}

#[cfg(feature = "legacy")]
impl View {
    /// Whether everybody sees it: it was made the new way, or the service has been switched since.
    pub fn is_shared(&self) -> bool {
        self.private.as_ref().is_none_or(|(guard, _)| guard.overtaken())
    }

    /// Whether the calling thread sees it.
    pub fn is_visible(&self) -> bool {
        self.private.as_ref().is_none_or(|(guard, thread)| guard.overtaken() || *thread == thread::id())
    }
}

#[cfg(not(feature = "legacy"))]
impl View {
    /// Everybody sees it.
    pub fn is_shared(&self) -> bool {
        true
    }

    /// The calling thread sees it.
    pub fn is_visible(&self) -> bool {
        true
    }
}
