//! How long paths are.

use super::{
    spread,
    table::{mark_of, size, start},
};
use crate::face::epoch::Mark;

/// A table's places while it is filled, and the steps that this takes.
struct Paths {
    places: Vec<Option<Mark>>,
    steps: usize,
    /// Places on the way that have the same mark: their links are looked at.
    looks: usize,
}

/// Puts entries of these hashes in as many tables, of the size that is right for them.
fn fill(hashes: impl Iterator<Item = u64> + Clone, shards: usize) -> (Vec<usize>, usize, usize) {
    let shard = |hash: u64| (hash >> 58) as usize & (shards - 1);
    let mut counts = vec![0; shards];
    hashes.clone().for_each(|hash| counts[shard(hash)] += 1);
    let paths = |count| Paths { places: vec![None; size(count).1], steps: 0, looks: 0 };
    let mut tables: Vec<_> = counts.iter().map(|count| paths(*count)).collect();
    for hash in hashes {
        let Paths { places, steps, looks } = &mut tables[shard(hash)];
        let mask = places.len() - 1;
        let mut at = start(hash) & mask;
        while let Some(there) = places[at] {
            *steps += 1;
            *looks += usize::from(there == mark_of(hash));
            at = (at + 1) & mask;
        }
        places[at] = Some(mark_of(hash));
    }
    (counts, tables.iter().map(|table| table.steps).sum(), tables.iter().map(|table| table.looks).sum())
}

#[test]
fn numbers_that_are_evenly_spaced_have_short_paths_in_tables_of_one_size() {
    #[track_caller]
    fn check(many: usize, shards: usize) {
        let by_twos = (3..44).flat_map(|bits| [1 << bits, (1 << bits) + 1, (1 << bits) - 1, 3 << bits]);
        let by_tens = (1..13).map(|digits| 10_u64.pow(digits));
        for stride in
            (1..100).chain(by_twos).chain(by_tens).chain([300_000, 20_000_000, 10_000_001, 0x9E37_79B9_7F4A_7C15])
        {
            let hashes = (0..many as u64).map(|number| spread(number.wrapping_mul(stride)));
            let (counts, steps, looks) = fill(hashes, shards);
            // Of hashes that were drawn by lot about a third of a step, and a tenth of a look.
            assert!(2 * steps < many, "{steps} steps for {many}, {stride} apart, in {shards}");
            assert!(6 * looks < many, "{looks} looks for {many}, {stride} apart, in {shards}");
            let most = counts.into_iter().max().unwrap_or(many);
            assert!(most * shards < many * 5 / 4, "{most} of {many} in one of {shards}, {stride} apart");
        }
    }
    check(1_000, 1);
    check(5_000, 1);
    check(50_000, 32);
}

/// Of eight places five, and never all: a path has to end.
#[test]
fn a_table_is_never_full() {
    for alive in 0..10_000 {
        let (room, places) = size(alive);
        assert!(
            alive < room && room <= places * 5 / 8 && places <= (5 * alive).max(4),
            "{room} of {places} for {alive}"
        );
    }
}
