//! Where names stand, and who finds them.
//!
//! # Protocol: two ways to work, one store
//! Each name has one place. Whoever registers it first stands there, in either mode, with the [`View`] of that moment:
//! everybody's, or the registering thread's until the switch has been on since. A lookup asks the entry's view, never
//! the mode, so one push of the switch shows everything at once, and what somebody could find stays found.
//!
//! With the feature `legacy` a second thread may have the name of an entry that it does not find: its own entry is then
//! kept aside (`private`), found by that thread alone, and before the one in the name's place. It stays aside until it
//! is given up. An entry does not move, so whoever gives it up knows where it stands; and a thread has a name once: what
//! it would find is `AlreadyRegistered`, and only itself registers what is aside for it.
//!
//! Named races:
//! - *register against flip*: the view is taken first, the entry is put in afterwards. If the switch was turned on in
//!   between, the view is overtaken, and the entry everybody's from its first moment. If it went aside meanwhile, it was
//!   registered before the flip.
//! - *the new way meets the old*: the view was everybody's, the switch was turned off, and another thread took the place
//!   in legacy mode. The entry can't be shown to everybody any more, so it was registered after the flip: a new view is
//!   taken, from which the switch knows that something of the old mode is kept aside.
//! - *lookup against flip*: a lookup that finds another thread's entry hidden came before the flip. A thread's own entry
//!   needs no look at the switch to be found.
//! - *conflict, then release*: the one in the place is given up while another is kept aside. Nobody moves up: the place
//!   is free, the other thread still finds its own.

use std::sync::Arc;

use foundation_context::Fields;
use foundation_sync::{
    Map,
    legacy::{Mode, View},
    planted,
};
#[cfg(feature = "legacy")]
use foundation_sync::{Switch, reached};

use crate::Owner;
#[cfg(feature = "legacy")]
use crate::private::{Aside, Private};

/// One name, held.
pub(crate) struct Held<V> {
    pub(crate) name: Arc<str>,
    pub(crate) owner: Owner,
    pub(crate) value: V,
    pub(crate) metadata: Fields,
    pub(crate) view: View,
}

impl<V> Held<V> {
    pub(crate) fn is_live(&self) -> bool {
        !self.owner.fenced()
    }
}

/// Where an entry stands: in its name's place, or aside.
pub(crate) enum Place {
    First,
    #[cfg(feature = "legacy")]
    Aside(Aside),
}

/// All names. The entries are their owners', who give them up at the latest when they end.
pub(crate) struct Names<V> {
    /// The first live registrant of each name.
    first: Map<Arc<str>, Held<V>>,
    /// What threads hold beside those, each for itself.
    #[cfg(feature = "legacy")]
    private: Private<V>,
    mode: Mode,
}

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self {
            first: Map::default(),
            #[cfg(feature = "legacy")]
            private: Private::default(),
            mode: Mode::default(),
        }
    }
}

impl<V: 'static> Names<V> {
    /// Who finds what the calling thread registers now.
    pub(crate) fn view(&self) -> View {
        self.mode.view()
    }

    #[cfg(feature = "legacy")]
    pub(crate) fn switch(&self) -> &Switch {
        self.mode.switch()
    }

    /// Puts a new entry where it belongs. What is met on the way goes to `met`, to be dropped by the caller without a
    /// lock: it may be the last reference.
    ///
    /// # Errors
    /// The live entry that the calling thread finds under this name.
    pub(crate) fn hold(&self, held: &mut Arc<Held<V>>, met: &mut Vec<Arc<Held<V>>>) -> Result<Place, Arc<Held<V>>> {
        #[cfg(feature = "legacy")]
        match self.private.get(&held.name) {
            Some(own) if own.is_live() => return Err(own),
            own => met.extend(own),
        }
        match self.first.insert_unless(Arc::clone(&held.name), held, Held::is_live) {
            Ok(there) => {
                met.extend(there);
                Ok(Place::First)
            }
            #[cfg(feature = "legacy")]
            Err(there) if !there.view.is_visible() => {
                met.push(there);
                self.hold_aside(held, met)
            }
            Err(there) => Err(there),
        }
    }

    /// The name's place is taken by somebody whom the calling thread does not find.
    #[cfg(feature = "legacy")]
    fn hold_aside(&self, held: &mut Arc<Held<V>>, met: &mut Vec<Arc<Held<V>>>) -> Result<Place, Arc<Held<V>>> {
        if held.view.is_shared() && !planted!("registry: what is everybody's is kept aside") {
            reached!("registry: the new way met the old");
            Arc::get_mut(held).expect("it stands nowhere yet").view = self.mode.view();
            return self.hold(held, met);
        }
        self.private.hold(held, met).map(Place::Aside)
    }

    /// The live entry of this name that the calling thread finds.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Held<V>>> {
        #[cfg(feature = "legacy")]
        if let Some(own) = self.private.get(name).filter(|own| own.is_live()) {
            return Some(own);
        }
        self.first.get(name).filter(|held| self.is_found(held))
    }

    /// Whether the calling thread finds the entry that stands in its name's place.
    fn is_found(&self, held: &Held<V>) -> bool {
        if planted!("registry: a lookup asks the mode") {
            return held.is_live() && (self.mode.is_new() || !held.view.is_shared() && held.view.is_visible());
        }
        held.is_live() && held.view.is_visible()
    }

    /// Takes the entry out of its place, if it is still there.
    pub(crate) fn remove(&self, place: &Place, held: &Arc<Held<V>>) -> bool {
        match place {
            Place::First => self.first.remove(&held.name, held),
            #[cfg(feature = "legacy")]
            Place::Aside(aside) => self.private.remove(aside, held),
        }
    }

    /// All that the calling thread finds, by name.
    pub(crate) fn found(&self) -> Vec<Arc<Held<V>>> {
        let mut found: Vec<_> = self.first.values().into_iter().filter(|held| self.is_found(held)).collect();
        #[cfg(feature = "legacy")]
        self.private.put_over(&mut found);
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// How many there are, of all threads.
    #[cfg(feature = "legacy")]
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.private.len()
    }

    /// How many there are.
    #[cfg(not(feature = "legacy"))]
    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }
}
