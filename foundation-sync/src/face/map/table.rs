//! What a shard's table is made of: places, and the links that hold them.

use std::{ptr, sync::Weak};

use super::super::{
    MODEL,
    epoch::{Guard, Mark, Place, Seen, owe},
};

pub(super) const EMPTY: Mark = Mark::None;
pub(super) const GONE: Mark = Mark::First;

/// The least room of a table. In a model the next is four.
pub(super) const LEAST_ROOM: usize = 2;

/// A table is nearly empty when its room is so many times what is in it.
pub(super) const SPARSE: usize = if MODEL { 4 } else { 10 };

pub(super) struct Table<T> {
    /// How many places may be held or gone: at least one stays empty.
    pub(super) room: usize,
    pub(super) places: Box<[Place<Link<T>>]>,
}

pub(super) struct Link<T> {
    pub(super) hash: u64,
    pub(super) value: Weak<T>,
}

impl<T> Table<T> {
    /// With room for one more at least; in a model twice as much as there is alive.
    pub(super) fn for_alive(alive: usize) -> Self {
        let (room, places) = if MODEL {
            let room = (2 * alive).next_power_of_two().max(LEAST_ROOM);
            (room, room + 1)
        } else {
            size(alive)
        };
        Self { room, places: std::iter::repeat_with(Place::empty).take(places).collect() }
    }

    #[inline]
    pub(super) fn place(&self, at: usize) -> &Place<Link<T>> {
        let places = &self.places;
        &places[if MODEL { at % places.len() } else { at & (places.len() - 1) }]
    }
}

/// The room and the places of a table for so many.
pub(super) fn size(alive: usize) -> (usize, usize) {
    // Between 2.5 and 5 for each. Of eight places five are room, of those that are gone, too: a path that ends at an empty
    // place is short. So there is room for 25 where 16 are alive, or more.
    let places = (5 * alive / 2 + 1).next_power_of_two().max(4);
    (places * 5 / 8, places)
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        owe();
    }
}

impl<T> Link<T> {
    pub(super) fn is_alive(&self) -> bool {
        self.value.strong_count() > 0
    }
}

/// Where a path begins, round and round. A model may not depend on hashes.
pub(super) fn start(hash: u64) -> usize {
    if MODEL { 0 } else { hash as usize & (usize::MAX >> 1) }
}

/// What a place that is held by a link of this hash says of it: most others are passed without a look at their link.
#[inline]
pub(super) fn mark_of(hash: u64) -> Mark {
    match (hash >> 56) & 3 {
        _ if MODEL => Mark::None,
        0 => Mark::None,
        1 => Mark::First,
        2 => Mark::Second,
        _ => Mark::Both,
    }
}

pub(super) fn is_empty<T>(place: &Place<T>, guard: &Guard) -> bool {
    matches!(place.own(guard), (EMPTY, None))
}

pub(super) fn is_at<T>(there: Option<Seen<'_, T>>, thing: &T) -> bool {
    there.is_some_and(|there| ptr::eq(&*there, thing))
}
