//! Whether what the threads were told can be: a name at a time, as if one call had come after another.

use std::collections::HashMap;

use foundation_context::Incarnation;
use foundation_registry::{Exit, Removal, What};

use crate::{
    lives::{Life, Lives, NEVER},
    log::{Event, Heard, History, Key, Op, Refused, Set, Span, Version},
    modes::Modes,
};

/// # Panics
/// Something can't be: with the seed, and what it is.
pub(crate) fn check(history: &History) {
    let lives = Lives::of(history);
    let modes = Modes::of(history, &lives);
    let names = Names::of(history, &lives);
    let mut taken: HashMap<(Key, Incarnation), Vec<&Life>> = HashMap::new();
    for life in lives.all.iter().filter(|life| life.accepted) {
        taken.entry((life.key, life.owner)).or_default().push(life);
        lives.check(life.put.from <= life.dead, || format!("it was registered after its owner's end: {life:?}"));
    }
    for event in &history.events {
        check_told(&lives, &taken, event);
        check_seen(&lives, &modes, event);
        match modes.is_new() {
            true => check_missed(&lives, &names, event),
            false => modes.check(&lives, event),
        }
    }
    check_room(history, &lives);
    if modes.is_new() {
        names.check_one_after_another(&lives);
        check_lists(history, &lives);
    }
    check_heard(history, &lives, modes.is_new());
}

/// Those who are sure to be found under each name, in order: no two at once.
struct Names<'a>(HashMap<Key, Vec<(Span, &'a Life)>>);

impl<'a> Names<'a> {
    fn of(history: &History, lives: &'a Lives) -> Self {
        let mut names: HashMap<Key, Vec<(Span, &Life)>> = HashMap::new();
        if history.flipped {
            return Self(names);
        }
        for life in lives.all.iter().filter(|life| life.accepted && matches!(life.key, Key::Name(_))) {
            let certain = life.certain();
            if certain.from < certain.to {
                names.entry(life.key).or_default().push((certain, life));
            }
        }
        for those in names.values_mut() {
            check_apart(lives, those);
        }
        Self(names)
    }

    /// The one who is found under the name all the time from before this until after it.
    fn throughout(&self, name: usize, span: Span) -> Option<&'a Life> {
        covers(self.0.get(&Key::Name(name))?, span)
    }

    /// The versions of a name, also as those see them who have resolved it: they can be put into an order.
    fn check_one_after_another(&self, lives: &Lives) {
        let mut certain: HashMap<Key, Vec<(Span, Version)>> = HashMap::new();
        let mut brief: Vec<(Key, Span, Version)> = Vec::new();
        for life in lives.all.iter().filter(|life| life.accepted && matches!(life.key, Key::Name(_))) {
            for (at, seen) in life.versions.iter().enumerate() {
                let (from, to) = (life.came(at), life.going(at).max(seen.seen));
                if from < to {
                    certain.entry(life.key).or_default().push((Span { from, to }, seen.version));
                } else {
                    brief.push((life.key, Span { from: seen.put.from.max(seen.seen), to: from }, seen.version));
                }
            }
        }
        certain.values_mut().for_each(|those| check_apart(lives, those));
        for (key, span, version) in brief {
            let other = certain.get(&key).and_then(|those| covers(those, span));
            lives.check(other.is_none(), || {
                format!("{version:?} was there ({span:?}) while {other:?} was, under {key:?}")
            });
        }
    }
}

pub(crate) fn check_apart<T: std::fmt::Debug>(lives: &Lives, those: &mut [(Span, T)]) {
    those.sort_by_key(|(span, _)| span.from);
    for pair in those.windows(2) {
        lives.check(pair[0].0.to < pair[1].0.from, || {
            format!("two were there at once: {:?} and {:?}", pair[0], pair[1])
        });
    }
}

pub(crate) fn covers<T: Copy>(those: &[(Span, T)], span: Span) -> Option<T> {
    let before = those.partition_point(|(other, _)| other.from < span.from);
    let (other, life) = those.get(before.checked_sub(1)?)?;
    span.is_within(*other).then_some(*life)
}

/// Why it was refused.
fn check_told(lives: &Lives, taken: &HashMap<(Key, Incarnation), Vec<&Life>>, event: &Event) {
    let (key, owner, refused) = match &event.op {
        Op::Put { key, owner, answer: Err(refused), .. } => (*key, *owner, refused),
        Op::Update { name, owner, answer: Err(refused), .. } => (Key::Name(*name), *owner, refused),
        _ => return,
    };
    match refused {
        Refused::Taken(other) => {
            let theirs = taken.get(&(key, *other)).map_or(&[][..], Vec::as_slice);
            let there = theirs.iter().any(|life| Span { from: life.put.from, to: life.dead }.overlaps(event.span));
            lives.check(there, || format!("it was not taken: {event:?}; {theirs:?}"));
        }
        Refused::Fenced => lives.check(lives.ends_from(owner) < event.span.to, || format!("it lived: {event:?}")),
        Refused::Full | Refused::Nobody => {}
    }
}

/// What was found may have been there; what was changed was the one's who changed it.
fn check_seen(lives: &Lives, modes: &Modes, event: &Event) {
    let see = |version: &Version, key: Option<Key>, resolved: bool| {
        let (life, at) = lives.of_version(*version, event);
        let there = if resolved { life.may_be_held(at) } else { life.may_be_found(at) };
        lives.check(key.is_none_or(|key| key == life.key), || format!("another name's: {event:?}, {life:?}"));
        lives.check(there.overlaps(event.span), || format!("not there then: {event:?}, {life:?}"));
        lives.check(life.accepted || !modes.is_new(), || format!("it was refused, and found: {event:?}"));
        lives.check(modes.may_see(life, event), || format!("another thread's: {event:?}, {life:?}"));
    };
    if let Op::Unregister { owner, gone: Some(version), .. } | Op::Update { owner, answer: Ok(version), .. } = &event.op
    {
        let (life, _) = lives.of_version(*version, event);
        lives.check(life.owner == *owner, || format!("another owner's: {event:?}, {life:?}"));
    }
    match &event.op {
        Op::Look { name, resolved, found: Some(version) } => see(version, Some(Key::Name(*name)), *resolved),
        Op::Unregister { name, gone: Some(version), .. } => see(version, Some(Key::Name(*name)), false),
        Op::Update { name, answer: Ok(old), .. } => see(old, Some(Key::Name(*name)), false),
        Op::List { set: Set::Group(group), found } => {
            found.iter().for_each(|version| see(version, Some(Key::Group(*group)), false));
        }
        Op::List { found, .. } => found.iter().for_each(|version| see(version, None, false)),
        _ => {}
    }
}

/// Who found nobody: there was a moment at which nobody was.
fn check_missed(lives: &Lives, names: &Names<'_>, event: &Event) {
    let (name, owner) = match &event.op {
        Op::Look { name, found: None, .. } | Op::Update { name, answer: Err(Refused::Nobody), .. } => (*name, None),
        Op::Unregister { name, owner, gone: None } => (*name, Some(*owner)),
        Op::Put { key: Key::Name(name), answer: Ok(()), .. } => {
            let there = names.throughout(*name, event.span);
            return lives.check(there.is_none(), || format!("it was taken: {event:?}, by {there:?}"));
        }
        _ => return,
    };
    let there = names.throughout(name, event.span).filter(|life| owner.is_none_or(|owner| life.owner == owner));
    lives.check(there.is_none(), || format!("somebody was there: {event:?}, {there:?}"));
}

/// Never more than there is room for; and whoever is told that there is none may be right.
fn check_room(history: &History, lives: &Lives) {
    let mut certain = Vec::new();
    let (mut comes, mut goes) = (Vec::new(), Vec::new());
    for life in &lives.all {
        if life.accepted {
            certain.push((life.put.to, 1));
            certain.push((life.going.max(life.put.to), -1));
        }
        comes.push(life.put.from);
        goes.push(life.possible().to);
    }
    certain.sort_unstable();
    let most = certain.iter().scan(0, |now, (_, change)| {
        *now += change;
        Some(*now)
    });
    let most = most.max().unwrap_or(0);
    lives.check(most <= history.capacity as i64, || format!("{most} at once"));
    comes.sort_unstable();
    goes.sort_unstable();
    for event in &history.events {
        if let Op::Put { answer: Err(Refused::Full), .. } = &event.op {
            let came = comes.partition_point(|from| *from <= event.span.to);
            let went = goes.partition_point(|to| *to < event.span.from);
            lives.check(came - went > history.capacity, || format!("{} at most then: {event:?}", came - went));
        }
    }
}

/// What belonged to a set all the time was in it, whatever its updates.
fn check_lists(history: &History, lives: &Lives) {
    let mut members: HashMap<Set, Vec<(Span, Vec<Version>)>> = HashMap::new();
    for life in lives.all.iter().filter(|life| life.accepted) {
        let set = |at: usize| match life.key {
            Key::Group(group) => Some(Set::Group(group)),
            Key::Name(_) => life.versions[at].zone.map(Set::Zone),
        };
        let versions = |from: usize, to: usize| life.versions[from..to].iter().map(|seen| seen.version).collect();
        let count = life.versions.len();
        let mut from = 0;
        for to in 1..=count {
            if to < count && set(to) == set(from) {
                continue;
            }
            let span = Span { from: life.versions[from].put.to, to: life.going(to - 1) };
            if let Some(set) = set(from) {
                members.entry(set).or_default().push((span, versions(from, to)));
            }
            from = to;
        }
        if matches!(life.key, Key::Name(_)) {
            members.entry(Set::All).or_default().push((life.certain(), versions(0, count)));
        }
    }
    members.values_mut().for_each(|those| those.sort_by_key(|(span, _)| span.from));
    let mut lists: Vec<_> = history.events.iter().filter(|event| matches!(event.op, Op::List { .. })).collect();
    lists.sort_by_key(|event| event.span.from);
    // Those who may still be there, and the next one to come.
    let mut there: HashMap<Set, (Vec<usize>, usize)> = HashMap::new();
    for event in lists {
        let Op::List { set, found } = &event.op else { continue };
        let Some(those) = members.get(set) else { continue };
        let (now, next) = there.entry(*set).or_default();
        let came = those[*next..].partition_point(|(span, _)| span.from < event.span.from);
        now.extend(*next..*next + came);
        *next += came;
        now.retain(|one| those[*one].0.to > event.span.from);
        for (span, versions) in now.iter().map(|one| &those[*one]) {
            let missed = event.span.to < span.to && !versions.iter().any(|version| found.contains(version));
            lives.check(!missed, || format!("{versions:?} was there ({span:?}) and missed: {event:?}"));
        }
    }
}

/// The listener heard what happened, all of it, once, and in the order of each key.
fn check_heard(history: &History, lives: &Lives, in_order: bool) {
    // How many versions of each life came; whether it went.
    let mut heard: HashMap<*const Life, (usize, bool)> = HashMap::new();
    // What is there, and the latest beginning of a call that has been heard of.
    let mut keys: HashMap<Key, (Option<*const Life>, u64)> = HashMap::new();
    for it @ Heard { what, key, version } in &history.heard {
        let (life, at) = lives.of_version(*version, it);
        let (came, went) = heard.entry(life).or_default();
        let (there, latest) = keys.entry(*key).or_default();
        let is_name = matches!(key, Key::Name(_)) && in_order;
        lives.check(life.key == *key && !*went, || format!("after its end: {it:?}"));
        let call = match what {
            What::Registered | What::Updated => {
                lives.check((at, at > 0) == (*came, *what == What::Updated), || {
                    format!("out of order: {it:?}, {life:?}")
                });
                *came += 1;
                let before = there.replace(life);
                let expected = (at > 0).then_some(std::ptr::from_ref(life));
                lives.check(!is_name || before == expected, || format!("two at once: {it:?}"));
                life.versions[at].put
            }
            What::Unregistered(why) => {
                *went = true;
                lives.check(*came == at + 1, || format!("not the last one went: {it:?}, {life:?}"));
                let before = there.take();
                lives.check(!is_name || before == Some(std::ptr::from_ref(life)), || format!("not there: {it:?}"));
                check_why(lives, life, *why);
                let to = if life.accepted { life.gone } else { NEVER };
                Span { from: life.going, to }
            }
            _ => panic!("a change that is not known: {it:?}"),
        };
        if is_name {
            lives.check(*latest <= call.to, || format!("heard too late: {it:?}, {call:?}, {latest}"));
            *latest = call.from.max(*latest);
        }
    }
    for life in &lives.all {
        let expected = if life.accepted { (life.versions.len(), true) } else { (0, false) };
        let said = heard.get(&std::ptr::from_ref(life)).copied().unwrap_or_default();
        // Between the two ways one may have stepped back.
        let back = !in_order && !life.accepted && said == (1, true);
        lives.check(said == expected || back, || format!("heard {said:?} of {life:?}"));
    }
}

fn check_why(lives: &Lives, life: &Life, why: Removal) {
    let abandoned = matches!(lives.exit(life.owner), Some(Exit::Abandoned { .. }));
    let holds = match why {
        Removal::Unregistered => !life.accepted || life.given_up || life.dropped,
        Removal::OwnerEnded => !life.given_up && !abandoned,
        Removal::OwnerAbandoned => !life.given_up && abandoned,
        _ => false,
    };
    lives.check(holds, || format!("not for this reason: {why:?}, {life:?}"));
}
