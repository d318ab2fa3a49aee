//! A part of a map: its writers' lock, and a table that they change and readers look at meanwhile. It knows nothing of keys.
//!
//! The table has *places*, each *empty*, *held* by a link (a hash and a weak value) or *gone*: it was held. An entry's
//! *path* begins where its hash says and goes from place to place, the first after the last; the entry is on it, and no
//! empty place is before it. So whoever comes to an empty place has seen all there is. A writer, alone in its shard, changes
//! one place in one step: it puts an entry in the first place of its path that is not held, and one that is taken out leaves
//! a place that is gone; or an empty one if the next is empty, for then no path goes on behind it, and those gone before it
//! are empty, too.
//!
//! A reader takes no lock: it goes to the table and along the path, and an epoch keeps alive what it stands on. Of a link
//! it compares the hash, then whether the value is alive, and then the value.
//!
//! The races, by name:
//!
//! - *In place*. A value is replaced in one step, where it is. Were the new one put elsewhere, a reader who has passed that
//!   place before, and comes to the old one's after it was taken out, would find neither.
//! - *Second look*. A reader may come to a link just before it is replaced, and to its value when that is dead. It looks
//!   again: if the link is where it was, its value died while it was there, and is an absent one; if not, the path is gone
//!   along once more. A dead value's key cannot be seen, so this is done for each of the hash, and is right for each. Who
//!   wants all values looks at this one place once more, unless the table is another: whatever is there all the time is
//!   there.
//! - *Old table*. A shard whose table is full, of links and of places that are gone, or nearly empty gets another: filled
//!   first with the links whose values are alive, then shown. A reader who is still in the old one sees what was there when
//!   the new one was shown, which was while it read. But its second look would find the link where it was, though a new
//!   table has another: it is one at the shard's table, too.
//! - *Late look*. A writer looks for the table when it is alone, so none writes to an old one.
//!
//! Writers leave out the dead of their hash that they come to: of each the key is absent, whichever it is.

use std::{ptr, sync::Arc};

use super::{
    super::{
        Mutex,
        atomic::{
            AtomicUsize,
            Ordering::{Acquire, Relaxed},
        },
        epoch::{Guard, Pause, Place, Shared, pinned},
        fence,
    },
    table::{EMPTY, GONE, LEAST_ROOM, Link, SPARSE, Table, is_at, is_empty, mark_of, start},
};

/// Writers of one do not slow down those of another: each has a line of the cache.
#[repr(align(64))]
pub(super) struct Shard<T> {
    /// Whoever holds it is the only writer.
    writer: Mutex<Tally>,
    /// A copy of it.
    len: AtomicUsize,
    /// How many places there are.
    places: AtomicUsize,
    /// Where a reader stays with what it has read, and a writer who is done comes by.
    pause: Pause,
    /// None until something is put in.
    table: Place<Table<T>>,
}

struct Tally {
    /// Places that are held.
    len: usize,
    gone: usize,
}

/// What an insertion has done: `Err` is the value that stays.
pub(super) type Inserted<T> = Result<Option<Arc<T>>, Arc<T>>;

impl<T> Shard<T> {
    pub(super) fn empty() -> Self {
        Self {
            writer: Mutex::new(Tally { len: 0, gone: 0 }),
            len: AtomicUsize::new(0),
            places: AtomicUsize::new(0),
            pause: Pause::new(),
            table: Place::empty(),
        }
    }

    /// Waits for the writer of now, if there is one.
    #[track_caller]
    pub(super) fn pass(&self) {
        drop(self.writer.lock());
    }

    pub(super) fn len(&self) -> usize {
        // ordering: none, it is a count.
        self.len.load(Relaxed)
    }

    /// What is allocated for it, but for what waits to be freed.
    pub(super) fn bytes(&self) -> usize {
        // A link's are its own and two words of sdd's.
        let link = size_of::<Link<T>>() + 2 * size_of::<usize>();
        // ordering: none, it is a count.
        let table = match self.places.load(Relaxed) {
            0 => 0,
            places => size_of::<Table<T>>() + 2 * size_of::<usize>() + places * size_of::<Place<Link<T>>>(),
        };
        size_of::<Self>() + table + self.len() * link
    }
}

impl<T: Send + Sync + 'static> Shard<T> {
    /// The value of this hash that is the right one. Others of it that are met go to `met`, to be dropped by the caller
    /// when it is not pinned any more: they may be the last references.
    #[inline]
    pub(super) fn get(
        &self,
        hash: u64,
        is: impl Fn(&T) -> bool,
        guard: &Guard,
        met: &mut Vec<Arc<T>>,
    ) -> Option<Arc<T>> {
        // No round but the last waits for anybody: that there is another means that a writer got on.
        'look: loop {
            let table = self.table.read(guard).1?;
            for at in start(hash).. {
                let place = table.place(at);
                let link = match place.read(guard) {
                    (EMPTY, None) => return None,
                    (mark, Some(link)) if mark == mark_of(hash) && link.hash == hash => link,
                    _ => continue,
                };
                self.pause.take();
                match link.value.upgrade() {
                    Some(value) if is(&value) => return Some(value),
                    Some(other) => met.push(other),
                    None if self.still_has(&table, place, &link, guard) => {}
                    None => continue 'look,
                }
            }
        }
    }

    /// Whether this very value is there. It is not touched.
    pub(super) fn has(&self, hash: u64, value: &T, guard: &Guard) -> bool {
        let Some(table) = self.table.read(guard).1 else { return false };
        for at in start(hash).. {
            match table.place(at).read(guard) {
                (EMPTY, None) => return false,
                (_, Some(link)) if ptr::eq(link.value.as_ptr(), value) => return true,
                _ => {}
            }
        }
        false
    }

    /// Adds all values to these, with their hashes; one that changes its place meanwhile may come twice. Those that were
    /// found in an old table, and are looked for anew, go to `met`, as in `get`.
    pub(super) fn values(&self, guard: &Guard, values: &mut Vec<(u64, Arc<T>)>, met: &mut Vec<Arc<T>>) {
        let before = values.len();
        'look: loop {
            met.extend(values.drain(before..).map(|(_, value)| value));
            let Some(table) = self.table.read(guard).1 else { return };
            for place in &table.places {
                while let (_, Some(link)) = place.read(guard) {
                    self.pause.take();
                    match link.value.upgrade() {
                        Some(value) => values.push((link.hash, value)),
                        None if self.still_has(&table, place, &link, guard) => {}
                        // Race "in place": what has replaced it is here, as long as this is the table.
                        None if is_at(self.table.read(guard).1, &table) => continue,
                        None => continue 'look,
                    }
                    break;
                }
            }
            return;
        }
    }

    /// Race "second look": whether this link, whose value was dead, was there then.
    #[cold]
    fn still_has(&self, table: &Table<T>, place: &Place<Link<T>>, link: &Link<T>, guard: &Guard) -> bool {
        if crate::planted!("map: a dead value is not looked at twice") {
            return true;
        }
        // ordering: Acquire, for an upgrade that fails orders nothing. Pairs with the Release of the drop of the last
        // reference: whoever replaced the value held one until the new one was shown.
        fence(Acquire);
        // Race "old table". The table first: a link that is in the place after that was in it when this was the shard's.
        let same_table = is_at(self.table.read(guard).1, table);
        if !same_table {
            crate::reached!("map: second look at an old table");
        }
        let same = (same_table || crate::planted!("map: a second look at an old table is believed"))
            && is_at(place.read(guard).1, link);
        if !same {
            crate::reached!("map: second look");
        }
        same
    }

    /// Puts a value in, unless `keep` says of the one that `is` finds that it stays. Others go to `met`, as in `get`, and
    /// are not dropped here. `then` is told of the one that was replaced when the new one can be seen. `None` if nobody
    /// could be pinned.
    #[track_caller]
    pub(super) fn insert(
        &self,
        hash: u64,
        value: &Arc<T>,
        is: impl Fn(&T) -> bool + Send + Sync,
        keep: impl FnOnce(&T) -> bool + Send,
        then: impl FnOnce(Option<&Arc<T>>) + Send,
        met: &mut Vec<Arc<T>>,
    ) -> Option<Inserted<T>> {
        if crate::planted!("map: a table grows while others write") {
            let mut tally = Tally { len: self.len(), gone: 0 };
            pinned(|guard| self.make_room(&mut tally, guard));
        }
        let done = {
            let tally = &mut *self.writer.lock();
            // Opened by the shard's writer, not by those who wait to be: they would keep all garbage from being freed.
            pinned(|guard| {
                self.make_room(tally, guard);
                // Race "late look".
                let table = self.table.own(guard).1.expect("there is room");
                let link = || Some(Shared::new(Link { hash, value: Arc::downgrade(value) }));
                let mut free = None;
                for at in start(hash).. {
                    let place = table.place(at);
                    let (mark, there) = place.own(guard);
                    let Some(there) = there else {
                        let free = *free.get_or_insert(place);
                        if mark != EMPTY {
                            continue;
                        }
                        if !is_empty(free, guard) {
                            tally.gone -= 1;
                        }
                        free.put(link(), mark_of(hash));
                        self.count(tally, tally.len + 1);
                        then(None);
                        break;
                    };
                    if there.hash != hash {
                        continue;
                    }
                    match there.value.upgrade() {
                        Some(there) => {
                            // At once: whoever panics below, it is not dropped here.
                            met.push(there);
                            let Some(there) = met.last().filter(|there| is(there)) else { continue };
                            if keep(there) {
                                return Err(Arc::clone(there));
                            }
                            if crate::planted!("map: a value is replaced elsewhere") {
                                place.put(None, GONE);
                                place.put(link(), mark_of(hash));
                            }
                            // Race "in place".
                            place.put(link(), mark_of(hash));
                            then(Some(there));
                            return Ok(met.pop());
                        }
                        None => {
                            self.bury(place, tally);
                            free.get_or_insert(place);
                        }
                    }
                }
                Ok(None)
            })
        };
        self.pause.take();
        done
    }

    /// Takes this value's link out; `then` is called when it can be seen no more.
    #[track_caller]
    pub(super) fn remove(&self, hash: u64, value: &T, then: impl FnOnce() + Send) -> bool {
        if crate::planted!("map: a writer looks for the table before it is alone") {
            let removed = pinned(|guard| {
                let table = self.table.read(guard).1;
                table.is_some_and(|table| self.remove_from(&table, hash, value, &mut self.writer.lock(), guard))
            });
            return removed.unwrap_or(false);
        }
        let removed = {
            let tally = &mut *self.writer.lock();
            pinned(|guard| {
                // Race "late look".
                let table = self.table.own(guard).1;
                let removed = table.is_some_and(|table| self.remove_from(&table, hash, value, tally, guard));
                if removed {
                    then();
                }
                removed
            })
        };
        self.pause.take();
        removed.unwrap_or(false)
    }

    fn remove_from(&self, table: &Table<T>, hash: u64, value: &T, tally: &mut Tally, guard: &Guard) -> bool {
        for at in start(hash).. {
            let place = table.place(at);
            match place.own(guard) {
                (EMPTY, None) => return false,
                (_, Some(link)) if link.hash != hash => {}
                (_, Some(link)) if ptr::eq(link.value.as_ptr(), value) => {
                    self.take_out(table, at, tally, guard);
                    break;
                }
                (_, Some(link)) if !link.is_alive() => self.bury(place, tally),
                _ => {}
            }
        }
        if table.room > LEAST_ROOM && SPARSE * tally.len <= table.room {
            self.renew(table, tally, guard);
        }
        true
    }

    /// Takes a dead link out.
    fn bury(&self, place: &Place<Link<T>>, tally: &mut Tally) {
        place.put(None, GONE);
        tally.gone += 1;
        self.count(tally, tally.len - 1);
    }

    /// Takes the link out that is here.
    fn take_out(&self, table: &Table<T>, at: usize, tally: &mut Tally, guard: &Guard) {
        let last =
            is_empty(table.place(at + 1), guard) || crate::planted!("map: a place is empty on the way to an entry");
        table.place(at).put(None, if last { EMPTY } else { GONE });
        if last {
            let mut before = at + table.places.len() - 1;
            while let (GONE, None) = table.place(before).own(guard) {
                table.place(before).put(None, EMPTY);
                tally.gone -= 1;
                before = before + table.places.len() - 1;
            }
        } else {
            tally.gone += 1;
        }
        self.count(tally, tally.len - 1);
    }

    /// Sees to it that there is a table, with room for one more.
    fn make_room(&self, tally: &mut Tally, guard: &Guard) {
        match self.table.own(guard).1 {
            Some(table) if tally.len + tally.gone < table.room => {}
            Some(table) => self.renew(&table, tally, guard),
            None => self.show(Table::for_alive(0), tally, 0),
        }
    }

    /// Another table, of the size that is right for whose values are alive: with so much room left, and so far from nearly
    /// empty, that to copy it costs what comes and goes until the next one a few steps each.
    fn renew(&self, old: &Table<T>, tally: &mut Tally, guard: &Guard) {
        let links = || old.places.iter().filter(|place| place.own(guard).1.is_some_and(|link| link.is_alive()));
        let new = Table::for_alive(links().count());
        if crate::planted!("map: a table is shown before it is filled") {
            self.show(Table::for_alive(new.room / 2), tally, 0);
        }
        // Some may die meanwhile, none comes to life.
        let mut kept = 0;
        for place in links() {
            let (Some(link), shared) = (place.own(guard).1, place.share(guard)) else { continue };
            let free = (start(link.hash)..).map(|at| new.place(at)).find(|place| is_empty(place, guard));
            free.expect("it has no end").put(shared, mark_of(link.hash));
            kept += 1;
        }
        self.show(new, tally, kept);
    }

    fn show(&self, new: Table<T>, tally: &mut Tally, kept: usize) {
        // ordering: none, it is a count.
        self.places.store(new.places.len(), Relaxed);
        self.table.put(Some(Shared::new(new)), EMPTY);
        tally.gone = 0;
        self.count(tally, kept);
    }

    fn count(&self, tally: &mut Tally, now: usize) {
        tally.len = now;
        // ordering: none, it is a count.
        self.len.store(now, Relaxed);
    }
}

impl<T> Drop for Shard<T> {
    fn drop(&mut self) {
        self.table.leave();
    }
}
