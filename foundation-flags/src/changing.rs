//! A change of rules that is being put together.

use std::sync::Arc;

use foundation_sync::{Deadline, planted, reached};

use crate::{Change, ChangeError, Flag, Flags, Part, Percent, Setting, What, saying::Wish};

/// A change of flags that are in no plan. Nothing is changed before [`apply`](Self::apply), then everything at once. Where
/// two wishes are about the same, the last one stands.
///
/// ```
/// use foundation_flags::{Flag, Flags, Target};
/// use foundation_sync::{Clock, SECOND};
///
/// const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
/// let (flags, clock) = (Flags::builder().flag(&NEW_CHECKOUT).start()?, Clock::system());
///
/// let change = flags
///     .change("alice", "ramp to a quarter, and the staff")
///     .percent(&NEW_CHECKOUT, 25.0)
///     .group(&NEW_CHECKOUT, "staff", true)
///     .apply(clock.within(SECOND))?;
/// assert!(flags.enabled_for_target(&NEW_CHECKOUT, &Target::id("user-42").groups(&["staff"])));
///
/// flags.undo(change.version, "alice", "too many complaints", clock.within(SECOND))?;
/// assert!(!flags.enabled_for_target(&NEW_CHECKOUT, &Target::id("user-42").groups(&["staff"])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is changed until it is applied"]
pub struct Changing<'a> {
    flags: &'a Flags,
    by: String,
    why: String,
    wishes: Vec<Wish>,
    expected: Option<u64>,
    wrong: Option<ChangeError>,
}

impl<'a> Changing<'a> {
    pub(crate) fn new(flags: &'a Flags, by: &str, why: &str) -> Self {
        let (by, why) = (by.to_owned(), why.to_owned());
        Self { flags, by, why, wishes: Vec::new(), expected: None, wrong: None }
    }

    fn wish(mut self, flag: &Flag, part: Option<Part>, setting: Option<Setting>) -> Self {
        self.wishes.push(Wish { flag: *flag, part, setting });
        self
    }

    /// On for everybody whom nothing else names.
    pub fn on(self, flag: &Flag) -> Self {
        self.set(flag, true)
    }

    /// Off for everybody whom nothing else names, also where a percentage was said.
    pub fn off(self, flag: &Flag) -> Self {
        self.set(flag, false)
    }

    /// [On](Self::on) or [off](Self::off).
    pub fn set(self, flag: &Flag, on: bool) -> Self {
        self.wish(flag, Some(Part::Everybody), Some(Setting::of(on)))
    }

    /// On for this share of ids, 0 to 100, rounded to a hundredth; whoever is on stays on when it is raised. A read without
    /// an id is off below 100.
    pub fn percent(mut self, flag: &Flag, percent: f64) -> Self {
        match Percent::new(percent) {
            Ok(percent) => self.wish(flag, Some(Part::Everybody), Some(Setting::Percent(percent))),
            Err(_) => {
                self.wrong.get_or_insert(ChangeError::Percent(flag.name()));
                self
            }
        }
    }

    /// On or off for who has this id.
    pub fn actor(self, flag: &Flag, id: &str, on: bool) -> Self {
        self.wish(flag, Some(Part::Actor(id.into())), Some(Setting::of(on)))
    }

    /// On or off for who is in this group. In a group that is off and one that is on: off.
    pub fn group(self, flag: &Flag, group: &str, on: bool) -> Self {
        self.wish(flag, Some(Part::Group(group.into())), Some(Setting::of(on)))
    }

    /// On or off on this node, also for a read without an id where it is [the flags' own](crate::Builder::node).
    pub fn node(self, flag: &Flag, node: &str, on: bool) -> Self {
        self.wish(flag, Some(Part::Node(node.into())), Some(Setting::of(on)))
    }

    /// Nothing is said for this part any more, such as `Part::actor("user-42")`; what is said for others stays.
    pub fn clear(self, flag: &Flag, part: Part) -> Self {
        self.wish(flag, Some(part), None)
    }

    /// Nothing is said about the flag any more: it is its default for everybody.
    pub fn reset(self, flag: &Flag) -> Self {
        self.wish(flag, None, None)
    }

    /// Only if this is the number of the last decision: compare and set. See [`View::version`](crate::View::version).
    pub fn expect_version(mut self, version: u64) -> Self {
        self.expected = Some(version);
        self
    }

    /// Changes all of them at once. On return it is written down, where there is a file, and every switch is set.
    ///
    /// # Errors
    /// A flag is not declared, or is the plan's; what is said is no percentage, or names too many; another decision was
    /// made than the expected one; another change was under way until the deadline, a rollback came in between, or it
    /// could not be written down. Nothing was changed.
    pub fn apply(self, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let inner = &self.flags.0;
        inner.change((&self.by, &self.why), &until, |state, who| {
            let expected = self.expected.filter(|_| !planted!("flags: a version is expected and not compared"));
            if let Some(expected) = expected.filter(|expected| *expected != state.version) {
                reached!("flags: another version was expected");
                return Err(ChangeError::NotExpected { expected, now: state.version });
            }
            state.said(&inner.shape, &self.wishes, What::Set, who)
        })
    }
}
