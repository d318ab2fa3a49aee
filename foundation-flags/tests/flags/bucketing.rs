//! That ids are spread as `docs/bucketing.md` says.

use foundation_flags::{Flag, Flags};
use proptest::prelude::*;
use twox_hash::XxHash3_64;

use crate::soon;

const DOCUMENT: &str = include_str!("../../../docs/bucketing.md");
const NEW: Flag = Flag::off("new_checkout");
const MANY: usize = 100_000;

/// Its buckets are another's: of a salt that a test makes up.
fn salted(salt: &str) -> Flag {
    Flag::off("a").salt(salt.to_owned().leak())
}

/// The pseudo-code of the document, with another implementation of the hash.
fn by_the_document(salt: &str, id: &str) -> (u64, u64, u16) {
    let seed = XxHash3_64::oneshot_with_seed(0, salt.as_bytes());
    let hash = XxHash3_64::oneshot_with_seed(seed, id.as_bytes());
    let (low, high) = ((hash & 0xffff_ffff) * 10_000, (hash >> 32) * 10_000);
    (seed, hash, ((high + (low >> 32)) >> 32) as u16)
}

/// The rows of the table: salt, id, seed, hash, bucket.
fn vectors() -> Vec<(&'static str, &'static str, u64, u64, u16)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &'static str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|cell| cell.trim_matches([' ', '`'])).collect();
        let [salt, id, seed, hash, bucket] = cells[..] else { panic!("a row of five: {line}") };
        let text =
            |cell: &'static str| cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).expect("in quotes");
        let hex = |cell| u64::from_str_radix(cell, 16).expect("hexadecimal");
        (text(salt), text(id), hex(seed), hex(hash), bucket.parse().expect("a number"))
    };
    rows.map(row).collect()
}

#[test]
fn every_vector_of_the_document_is_what_another_implementation_and_ours_compute() {
    let vectors = vectors();
    for (salt, id, seed, hash, bucket) in &vectors {
        assert_eq!(by_the_document(salt, id), (*seed, *hash, *bucket), "{salt:?} {id:?}");
        assert_eq!(salted(salt).bucket(id), *bucket, "{salt:?} {id:?}");
    }
    // The hash has a branch of its own for each of these.
    let lengths = [(0, 0), (1, 3), (4, 8), (9, 16), (17, 128), (129, 240), (241, usize::MAX)];
    for (least, most) in lengths {
        let reached = |(_, id, ..): &(&str, &str, u64, u64, u16)| (least..=most).contains(&id.len());
        assert!(vectors.iter().any(reached), "no id of {least} to {most} bytes");
    }
    assert!(vectors.iter().any(|(_, id, ..)| !id.is_ascii()) && vectors.iter().any(|(salt, ..)| !salt.is_ascii()));
}

#[test]
fn an_id_is_on_if_its_bucket_is_below_the_hundredths() {
    for (salt, id, .., bucket) in vectors() {
        let flag = salted(salt);
        let flags = Flags::builder().flag(&flag).start().expect("it fits");
        let at = |hundredths: u16| {
            flags
                .change("alice", "test")
                .percent(&flag, f64::from(hundredths) / 100.0)
                .apply(soon())
                .expect("it is free");
            flags.enabled_for(&flag, id)
        };
        assert!(!at(bucket) && at(bucket + 1), "{salt:?} {id:?} {bucket}");
    }
}

#[test]
fn a_percentage_that_is_raised_turns_no_id_off_and_one_that_is_lowered_turns_none_on() {
    let ids: Vec<_> = (0..MANY).map(|number| format!("user-{number}")).collect();
    let flags = Flags::builder().flag(&NEW).start().expect("it fits");
    let mut on = vec![false; MANY];
    let steps = [0.0, 0.01, 0.02, 0.5, 1.0, 5.0, 10.0, 25.0, 33.33, 50.0, 66.67, 75.0, 90.0, 99.0, 99.99, 100.0];
    for (up, step) in steps.map(|step| (true, step)).into_iter().chain(steps.map(|step| (false, 100.0 - step))) {
        flags.change("alice", "ramp").percent(&NEW, step).apply(soon()).expect("it is free");
        for (id, was) in ids.iter().zip(&mut on) {
            let now = flags.enabled_for(&NEW, id);
            assert!(now == *was || now == up, "{id} at {step} %");
            *was = now;
        }
        let share = on.iter().filter(|on| **on).count() as f64 / MANY as f64 * 100.0;
        assert!((share - step).abs() < 0.5, "{share} % of all are on at {step} %");
    }
}

/// The sum over all cells of the squared distance from what is expected in each, in units of that.
fn chi_square(cells: &[u32], expected: f64) -> f64 {
    cells.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// How many standard deviations a chi-square of so many degrees is away from its mean: normal, as there are many.
fn deviation(chi_square: f64, degrees: f64) -> f64 {
    (chi_square - degrees) / (2.0 * degrees).sqrt()
}

/// Ids as they come: numbered, by mail, random.
fn kinds_of_ids() -> [(&'static str, Vec<String>); 4] {
    let random = |number: usize, part: &str| XxHash3_64::oneshot_with_seed(number as u64, part.as_bytes());
    let uuid = |number: usize| {
        let (high, low) = (random(number, "high"), random(number, "low"));
        format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{low:012x}", high >> 32, high & 0xffff, high >> 16 & 0xfff, low >> 52)
    };
    [
        ("numbers", (0..MANY).map(|number| number.to_string()).collect()),
        ("numbered", (0..MANY).map(|number| format!("user-{number}")).collect()),
        ("mail", (0..MANY).map(|number| format!("user.{number}@example.org")).collect()),
        ("uuids", (0..MANY).map(uuid).collect()),
    ]
}

#[test]
fn ids_of_every_kind_are_spread_evenly_over_all_buckets() {
    for (kind, ids) in kinds_of_ids() {
        for salt in ["new_checkout", "a", "use_shared_registry"] {
            let flag = salted(salt);
            let mut buckets = vec![0_u32; 10_000];
            ids.iter().for_each(|id| buckets[usize::from(flag.bucket(id))] += 1);
            let away = deviation(chi_square(&buckets, MANY as f64 / 10_000.0), 9_999.0);
            assert!(away.abs() < 4.0, "{kind} under {salt}: {away:.1} deviations");
        }
    }
}

#[test]
fn two_flags_are_on_for_ids_that_have_nothing_to_do_with_each_other() {
    const SALTS: [&str; 4] = ["new_checkout", "new_checkout_2", "a", "b"];
    for (kind, ids) in kinds_of_ids() {
        for (at, one) in SALTS.into_iter().enumerate() {
            for other in &SALTS[at + 1..] {
                let (one_flag, other_flag) = (salted(one), salted(other));
                let mut cells = vec![0_u32; 10_000];
                for id in &ids {
                    let (one, other) = (one_flag.bucket(id) / 100, other_flag.bucket(id) / 100);
                    cells[usize::from(one) * 100 + usize::from(other)] += 1;
                }
                let away = deviation(chi_square(&cells, MANY as f64 / 10_000.0), 9_999.0);
                assert!(away.abs() < 4.0, "{kind}, {one} beside {other}: {away:.1} deviations");
            }
        }
    }
}

#[test]
fn a_flag_that_is_renamed_keeps_its_ids_if_it_keeps_its_salt() {
    const OLD: Flag = Flag::off("old_name");
    const RENAMED: Flag = Flag::off("new_name").salt("old_name");
    const FORGOT: Flag = Flag::off("new_name");
    let ids = (0..1_000).map(|number| format!("user-{number}"));
    let moved = ids.filter(|id| {
        assert_eq!(OLD.bucket(id), RENAMED.bucket(id));
        OLD.bucket(id) != FORGOT.bucket(id)
    });
    assert!(moved.count() > 900);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bucket_is_the_documents_and_whoever_is_on_stays_on(
        salt in any::<String>(),
        id in prop_oneof![any::<String>(), "[a-z0-9@.-]{0,600}"],
        shares in prop::collection::btree_set(0_u32..=10_000, 1..20),
    ) {
        let flag = salted(&salt);
        prop_assert_eq!(flag.bucket(&id), by_the_document(&salt, &id).2);
        let flags = Flags::builder().flag(&flag).start().expect("it fits");
        let mut was = false;
        for share in shares {
            flags.change("alice", "ramp").percent(&flag, f64::from(share) / 100.0).apply(soon()).expect("it is free");
            let now = flags.enabled_for(&flag, &id);
            prop_assert!(now || !was, "at {} hundredths", share);
            was = now;
        }
    }
}
