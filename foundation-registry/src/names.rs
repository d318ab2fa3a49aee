//! Where names stand, and who finds them.
//!
//! # Protocol: two ways to work, one store
//! Each name has one place. Whoever registers it first stands there, in either mode, with the [`View`] of that moment:
//! everybody's, or the registering thread's until the switch has been on since. A lookup asks the entry's view, never
//! the mode, so one push of the switch shows everything at once, and what somebody could find stays found.
//!
//! With the feature `legacy` a second thread may have the name of an entry that it does not find: its own entry is then
//! kept aside (`private`), found by that thread alone, and before the one in the name's place. When the place becomes
//! free, who went aside first moves up into it: its thread goes on finding it where it was, everybody finds it in the
//! place, as far as its view lets them, and when it is given up it leaves both. So a name whose owner lives is never free
//! to those who may find that owner. And a thread has a name once: what it would find is `AlreadyRegistered`.
//!
//! Who goes aside, moves up, or is given up does so under one lock, and so does who registers once anybody has ever gone
//! aside. Until that first conflict nobody takes it; a lookup never does.
//!
//! Named races:
//! - *resolved against successor*: whoever has resolved a name asks its entry alone whether that still stands. So an entry
//!   is overtaken before what replaces it can be seen. In between a lookup finds it, and it does not stand: whoever asks
//!   looks again.
//! - *register against flip*: the view is taken first, the entry is put in afterwards. If the switch was turned on in
//!   between, the view is overtaken, and the entry everybody's from its first moment. If it went aside meanwhile, it was
//!   registered before the flip.
//! - *the new way meets the old*: the view was everybody's, the switch was turned off, and another thread took the place
//!   in legacy mode. The entry can't be shown to everybody any more, so it was registered after the flip: a new view is
//!   taken, from which the switch knows that something of the old mode is kept aside.
//! - *lookup against flip*: a lookup that finds another thread's entry hidden came before the flip. A thread's own entry
//!   needs no look at the switch to be found.
//! - *release against register*: somebody registers when the one in the place has ended or left, and the one who waits has
//!   not moved up yet. While somebody waits nobody else takes the place: who registers has the other one move up, and
//!   meets it there.
//! - *release against aside*: an entry is given up without the lock, as nobody had ever gone aside, while another thread
//!   goes aside because of it. That thread has said so before it looked at the place for the last time. So whoever
//!   leaves the place after that look knows it, and looks for who waits.
//! - *register against the first conflict*: between that release and that look somebody else takes the place, who had not
//!   met the one who waits. It looks again when it stands there, steps back if it is everybody's, and is refused. In
//!   between a lookup may have found it.

use std::sync::Arc;

use foundation_sync::{Map, planted, reached};
#[cfg(feature = "legacy")]
use foundation_sync::{
    Switch,
    legacy::{Mode, View},
};
use smol_str::SmolStr;

#[cfg(feature = "legacy")]
use crate::private::{Private, Waiting};
use crate::{Removal, bags::Hashes, books::Books, held::Held};

/// All names. The entries are their owners', who give them up at the latest when they end. Who comes and goes is booked
/// while no other entry of the name comes or goes.
pub(crate) struct Names<V> {
    /// The first live registrant of each name.
    first: Map<SmolStr, Held<V>, Hashes>,
    /// What threads hold beside those, each for itself.
    #[cfg(feature = "legacy")]
    private: Private<V>,
    #[cfg(feature = "legacy")]
    mode: Mode,
}

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self {
            first: Map::default(),
            #[cfg(feature = "legacy")]
            private: Private::default(),
            #[cfg(feature = "legacy")]
            mode: Mode::default(),
        }
    }
}

impl<V: Send + Sync + 'static> Names<V> {
    #[cfg(feature = "legacy")]
    pub(crate) fn switch(&self) -> &Switch {
        self.mode.switch()
    }

    /// Puts a new entry where it belongs. What is met on the way goes to `met`, to be dropped by the caller without a
    /// lock: it may be the last reference.
    ///
    /// # Errors
    /// The live entry that the calling thread finds under this name.
    pub(crate) fn hold(
        &self,
        books: &Books<V>,
        held: &Arc<Held<V>>,
        met: &mut Vec<Arc<Held<V>>>,
    ) -> Result<(), Arc<Held<V>>> {
        #[cfg(feature = "legacy")]
        if self.private.is_used() {
            return self.hold_in_turn(books, held, met);
        }
        match self.first.insert_unless_then(held, Held::is_kept, |dead| books.shown(held, dead)) {
            Ok(None) => {}
            Ok(Some(dead)) => met.push(dead),
            #[cfg(feature = "legacy")]
            Err(there) if !there.is_visible() => {
                met.push(there);
                return self.hold_in_turn(books, held, met);
            }
            Err(there) => return Err(there),
        }
        #[cfg(feature = "legacy")]
        self.look_again(books, held, met)?;
        Ok(())
    }

    /// The same, under the lock: somebody has gone aside, or the calling thread may have to.
    #[cfg(feature = "legacy")]
    fn hold_in_turn(
        &self,
        books: &Books<V>,
        held: &Arc<Held<V>>,
        met: &mut Vec<Arc<Held<V>>>,
    ) -> Result<(), Arc<Held<V>>> {
        let mut waiting = self.private.lock();
        self.private.announce();
        match self.private.get(&held.key) {
            Some(own) if own.is_live() => return Err(own),
            own => met.extend(own),
        }
        loop {
            let there = match self.move_up(books, &mut waiting, &held.key, met) {
                Some(there) if !planted!("registry: the place is taken before who waits") => there,
                _ => match self.first.insert_unless_then(held, Held::is_kept, |dead| books.shown(held, dead)) {
                    Ok(there) => {
                        met.extend(there);
                        return Ok(());
                    }
                    Err(there) => there,
                },
            };
            if there.is_visible() {
                return Err(there);
            }
            // The name's place is taken by somebody whom the calling thread does not find.
            met.push(there);
            if !held.view().is_shared() || planted!("registry: what is everybody's is kept aside") {
                met.extend(self.private.put(books, &mut waiting, held));
                return Ok(());
            }
            reached!("registry: the new way met the old");
            if !held.review(self.mode.view()) {
                // The switch was turned twice meanwhile: it was taken in between.
                return Err(met.pop().expect("just met"));
            }
        }
    }

    /// The entry has taken its name's place without the lock: race "register against the first conflict".
    ///
    /// # Errors
    /// The one who waits: the entry has stepped back.
    #[cfg(feature = "legacy")]
    fn look_again(
        &self,
        books: &Books<V>,
        held: &Arc<Held<V>>,
        met: &mut Vec<Arc<Held<V>>>,
    ) -> Result<(), Arc<Held<V>>> {
        if !self.private.is_used() || planted!("registry: nobody looks again") {
            return Ok(());
        }
        let mut waiting = self.private.lock();
        match waiting.next(&held.key) {
            // Both are private: it was registered in legacy mode, and the other one waits on.
            Some(next) if !held.view().is_shared() => met.push(next),
            Some(next) => {
                reached!("registry: an entry stepped back");
                self.first.remove_then(held, || _ = books.gone(held, Removal::Unregistered));
                let there = self.move_up(books, &mut waiting, &held.key, met);
                met.extend(there);
                return Err(next);
            }
            None => {}
        }
        Ok(())
    }

    /// Has the first one who waits take the name's place, if that is free. Returns who stands there then; `None` if
    /// nobody waits.
    #[cfg(feature = "legacy")]
    #[must_use = "it may be the last reference, and a lock is held"]
    fn move_up(
        &self,
        books: &Books<V>,
        waiting: &mut Waiting<V>,
        name: &SmolStr,
        met: &mut Vec<Arc<Held<V>>>,
    ) -> Option<Arc<Held<V>>> {
        let next = waiting.next(name).filter(|_| !planted!("registry: nobody moves up"))?;
        match self.first.insert_unless_then(&next, Held::is_kept, |dead| books.found(&next, dead)) {
            Ok(there) => {
                met.extend(there);
                waiting.remove(&next);
                Some(next)
            }
            Err(there) => Some(there),
        }
    }

    /// Who finds what the calling thread registers now.
    #[cfg(feature = "legacy")]
    pub(crate) fn view(&self) -> View {
        self.mode.view()
    }

    /// The live entry of this name that the calling thread finds.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Held<V>>> {
        #[cfg(feature = "legacy")]
        if let Some(own) = self.private.get(name).filter(|own| own.is_live()) {
            return Some(own);
        }
        self.first.get(name).filter(|held| self.is_found(held))
    }

    /// What stands where the calling thread would register this name, alive or not.
    pub(crate) fn place(&self, name: &str) -> Option<Arc<Held<V>>> {
        #[cfg(feature = "legacy")]
        if let Some(own) = self.private.get(name) {
            return Some(own);
        }
        self.first.get(name)
    }

    /// Whether the calling thread finds the entry that stands in its name's place.
    pub(crate) fn is_found(&self, held: &Held<V>) -> bool {
        #[cfg(feature = "legacy")]
        if planted!("registry: a lookup asks the mode") {
            return held.is_live() && (self.mode.is_new() || !held.view().is_shared() && held.is_visible());
        }
        (held.is_live() || planted!("registry: a lookup finds the dead")) && held.is_visible()
    }

    /// Takes the entry out wherever it stands. What is met on the way goes to `met`.
    #[cfg(feature = "legacy")]
    pub(crate) fn remove(&self, books: &Books<V>, held: &Arc<Held<V>>, why: Removal, met: &mut Vec<Arc<Held<V>>>) {
        if !self.private.is_used() {
            let removed = self.first.remove_then(held, || _ = books.gone(held, why));
            // Race "release against aside".
            if removed && self.private.is_used() && !planted!("registry: nobody moves up late") {
                reached!("registry: somebody went aside meanwhile");
                let there = self.move_up(books, &mut self.private.lock(), &held.key, met);
                met.extend(there);
            }
            return;
        }
        let mut waiting = self.private.lock();
        let was_aside = self.private.remove(&mut waiting, held);
        if self.first.remove_then(held, || _ = books.gone(held, why)) {
            let there = self.move_up(books, &mut waiting, &held.key, met);
            met.extend(there);
        } else if was_aside {
            books.gone(held, why);
        }
    }

    /// Takes the entry out of its place, if it is still there.
    #[cfg(not(feature = "legacy"))]
    pub(crate) fn remove(&self, books: &Books<V>, held: &Arc<Held<V>>, why: Removal, _: &mut Vec<Arc<Held<V>>>) {
        self.first.remove_then(held, || _ = books.gone(held, why));
    }

    /// Puts an entry in the place of an older one of the same registration, wherever that stands.
    pub(crate) fn update(&self, books: &Books<V>, old: &Arc<Held<V>>, new: &Arc<Held<V>>) {
        let other = |there: &Held<V>| !std::ptr::eq(there, &**old);
        if planted!("registry: the old entry leaves before the new one comes") && self.first.remove(old) {
            _ = self.first.insert_unless_then(new, other, |_| books.updated(new, old));
            return;
        }
        #[cfg(feature = "legacy")]
        if self.private.is_used() {
            let mut waiting = self.private.lock();
            let was_aside = self.private.update(&mut waiting, old, new);
            let was_first = self.stands_first(old)
                && self.first.insert_unless_then(new, other, |_| books.updated(new, old)).is_ok();
            if was_aside && !was_first {
                books.updated(new, old);
            }
            return;
        }
        if self.stands_first(old) {
            _ = self.first.insert_unless_then(new, other, |_| books.updated(new, old));
        }
    }

    /// Whether this very entry is in its name's place.
    pub(crate) fn stands_first(&self, held: &Held<V>) -> bool {
        self.first.has(held)
    }

    /// All that the calling thread finds, by name.
    pub(crate) fn found(&self) -> Vec<Arc<Held<V>>> {
        let mut found: Vec<_> = self.first.values().into_iter().filter(|held| self.is_found(held)).collect();
        #[cfg(feature = "legacy")]
        self.private.put_over(&mut found);
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// What the calling thread finds under the names of these, by name: an entry twice if two of them have led to it.
    pub(crate) fn found_among(&self, those: Vec<Arc<Held<V>>>) -> Vec<Arc<Held<V>>> {
        let mut found: Vec<_> = those.into_iter().filter_map(|held| self.now(held)).collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// The entry, or what the calling thread finds in its stead: another one, if it was updated meanwhile.
    fn now(&self, held: Arc<Held<V>>) -> Option<Arc<Held<V>>> {
        if held.is_live() && planted!("registry: a query trusts what it meets") {
            return Some(held);
        }
        let now = self.find(&held.key);
        if !now.as_ref().is_some_and(|now| Arc::ptr_eq(now, &held)) {
            reached!("registry: a query found another one, or none");
        }
        now
    }

    /// Whether all threads that look an entry up find it, if any does: no two may find two under one name.
    #[inline]
    pub(crate) fn is_everybodys(&self, _held: &Held<V>) -> bool {
        #[cfg(feature = "legacy")]
        return !self.private.is_used() && _held.is_visible();
        #[cfg(not(feature = "legacy"))]
        return true;
    }

    /// How many there are, of all threads.
    #[cfg(feature = "legacy")]
    pub(crate) fn len(&self) -> usize {
        // Under the lock: nobody moves up meanwhile.
        let waiting = self.private.lock();
        self.first.len() + waiting.len()
    }

    /// How many there are.
    #[cfg(not(feature = "legacy"))]
    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    /// All of all threads: each was there at some moment of the call.
    pub(crate) fn all(&self) -> Vec<Arc<Held<V>>> {
        let mut all = self.first.values();
        #[cfg(feature = "legacy")]
        all.append(&mut self.private.all());
        all.sort_by_key(|held| held.id);
        all.dedup_by_key(|held| held.id);
        all
    }

    /// Whether this very entry is found, by its own thread at least.
    pub(crate) fn stands(&self, held: &Arc<Held<V>>) -> bool {
        #[cfg(feature = "legacy")]
        if self.private.has(held) {
            return true;
        }
        self.stands_first(held)
    }

    /// Puts an entry that is booked, but was lost, in its name's place; whether it stands there. What is met on the way
    /// goes to `met`.
    pub(crate) fn find_again(&self, books: &Books<V>, held: &Arc<Held<V>>, met: &mut Vec<Arc<Held<V>>>) -> bool {
        match self.first.insert_unless_then(held, Held::is_kept, |dead| books.found(held, dead)) {
            Ok(there) => {
                met.extend(there);
                true
            }
            Err(there) => {
                let stands = Arc::ptr_eq(&there, held);
                met.push(there);
                stands
            }
        }
    }

    /// Waits for those who are just changing something: what they have done is seen afterwards, and whoever changes
    /// something later sees what the caller has done before.
    pub(crate) fn pass(&self) {
        self.first.pass();
        #[cfg(feature = "legacy")]
        self.private.pass();
    }

    /// Of its tables.
    pub(crate) fn bytes(&self) -> usize {
        #[cfg(feature = "legacy")]
        return self.first.bytes() + self.private.bytes();
        #[cfg(not(feature = "legacy"))]
        self.first.bytes()
    }

    /// Damages the table: the entry is not found any more.
    #[cfg(test)]
    pub(crate) fn lose(&self, held: &Held<V>) -> bool {
        self.first.remove(held)
    }
}
