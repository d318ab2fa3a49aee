//! What is said about one flag, and for whom it is on. No lock, no clock, no table.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use crate::{Flag, bucket::bucket};

/// How many actors, groups and nodes together a flag's rule names at most. A share of all is a percentage's to say.
pub const MOST_TARGETS: usize = 1_000;

/// A share of ids, in steps of a hundredth of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

impl Percent {
    /// No id.
    pub const NONE: Self = Self(0);
    /// Every id.
    pub const ALL: Self = Self(10_000);

    /// So many percent, rounded to a hundredth; what is more than none is at least one hundredth, what is less than all at
    /// most 99.99 %.
    ///
    /// # Errors
    /// It is no number from 0 to 100.
    pub fn new(percent: f64) -> Result<Self, PercentError> {
        let in_range = (0.0..=100.0).contains(&percent);
        let some = percent > 0.0 && percent < 100.0;
        let hundredths = (percent * 100.0).round() as u16;
        if in_range { Ok(Self(if some { hundredths.clamp(1, 9_999) } else { hundredths })) } else { Err(PercentError) }
    }

    /// Hundredths of a percent: 0 to 10,000.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Percent {
    /// `25 %`, `0.25 %`: no more digits than it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 100.0)
    }
}

impl fmt::Debug for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// It is no percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentError;

impl fmt::Display for PercentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a percentage is a number from 0 to 100")
    }
}

impl std::error::Error for PercentError {}

/// What a rule says for everybody, or for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// On.
    On,
    /// Off.
    Off,
    /// On for this share of ids. Only for everybody: one target is on or off.
    Percent(Percent),
}

impl Setting {
    pub(crate) const fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// Of all ids: how many hundredths of a percent.
    pub(crate) const fn share(self) -> u16 {
        match self {
            Self::On => Percent::ALL.0,
            Self::Off => Percent::NONE.0,
            Self::Percent(percent) => percent.0,
        }
    }

    /// For whom no id is known: only a share of all of them is on.
    pub(crate) const fn plain(self) -> bool {
        self.share() == Percent::ALL.0
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Off => f.write_str("off"),
            Self::Percent(percent) => percent.fmt(f),
        }
    }
}

/// It is no setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// What it is.
    pub text: Arc<str>,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no setting: say `on`, `off`, or a percentage such as `25%`", self.text)
    }
}

impl std::error::Error for SettingError {}

impl FromStr for Setting {
    type Err = SettingError;

    /// `on`, `off`, `true`, `false`, or a percentage with its sign: `25%`, `0.5 %`.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        let percent = |text: &str| Percent::new(text.strip_suffix('%')?.trim_end().parse().ok()?).ok();
        match text.trim() {
            "on" | "true" => Ok(Self::On),
            "off" | "false" => Ok(Self::Off),
            other => percent(other).map(Self::Percent).ok_or_else(|| SettingError { text: text.into() }),
        }
    }
}

/// For whom a rule says something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// Whoever is named by nothing else.
    Everybody,
    /// Who or what has this id.
    Actor(Arc<str>),
    /// Who is in this group.
    Group(Arc<str>),
    /// Who runs on this node.
    Node(Arc<str>),
}

impl Part {
    /// Who or what has this id.
    pub fn actor(id: &str) -> Self {
        Self::Actor(id.into())
    }

    /// Who is in this group.
    pub fn group(group: &str) -> Self {
        Self::Group(group.into())
    }

    /// Who runs on this node.
    pub fn node(node: &str) -> Self {
        Self::Node(node.into())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::Actor(id) => write!(f, "the actor `{id}`"),
            Self::Group(group) => write!(f, "the group `{group}`"),
            Self::Node(node) => write!(f, "the node `{node}`"),
        }
    }
}

/// Who asks: what is not known is left out.
///
/// ```
/// use foundation_flags::Target;
///
/// let target = Target::id("user-42").groups(&["beta", "staff"]).node("host-3");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a target is for a read"]
pub struct Target<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) groups: &'a [&'a str],
    pub(crate) node: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Nobody in particular: a plain read.
    pub const NOBODY: Target<'static> = Target { id: None, groups: &[], node: None };

    /// Who or what has this id: an actor's rule may name it, and its bucket is the id's.
    pub const fn id(id: &'a str) -> Self {
        Self { id: Some(id), groups: &[], node: None }
    }

    /// The groups that it is in.
    pub const fn groups(mut self, groups: &'a [&'a str]) -> Self {
        self.groups = groups;
        self
    }

    /// The node on which it runs, if that is not [the flags' own](crate::Builder::node).
    pub const fn node(mut self, node: &'a str) -> Self {
        self.node = Some(node);
        self
    }
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// Nothing is said: the default that is declared.
    Default,
    /// What is said for this part of all.
    Rule(Part),
    /// The percentage: the id's bucket is below its hundredths, or it is not. `None`: no id, so a share is off.
    Percent {
        /// The share.
        percent: Percent,
        /// The id's bucket, 0 to 9,999.
        bucket: Option<u16>,
    },
    /// The plan's stage.
    Stage(usize),
    /// It is held.
    Held,
    /// A test.
    Override,
}

/// Whether a flag is on for somebody, and what decided that: see [`Flags::explain`](crate::Flags::explain).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether it is on.
    pub on: bool,
    /// What decided.
    pub because: Because,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.on { "on: " } else { "off: " })?;
        match &self.because {
            Because::Default => f.write_str("nothing is said, so its default"),
            Because::Rule(part) => write!(f, "said for {part}"),
            Because::Percent { percent, bucket: None } => write!(f, "{percent} of ids, and there is none"),
            Because::Percent { percent, bucket: Some(bucket) } => {
                write!(f, "{percent} of ids, and this one's bucket is {bucket} of 10000")
            }
            Because::Stage(stage) => write!(f, "the plan is at stage {stage}"),
            Because::Held => f.write_str("it is held"),
            Because::Override => f.write_str("a test overrides it"),
        }
    }
}

/// What is said about a flag of no plan. For a target the first of these that says something decides: the actor; its
/// groups, where off beats on; the node; everybody. Where none does it is the flag's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// For whoever is named by nothing else. One thing, so that the last word stands: off after a percentage is off.
    pub everybody: Option<Setting>,
    /// By id.
    pub actors: BTreeMap<Arc<str>, bool>,
    /// By name.
    pub groups: BTreeMap<Arc<str>, bool>,
    /// By name.
    pub nodes: BTreeMap<Arc<str>, bool>,
}

impl Rule {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every part for which something is said.
    pub fn parts(&self) -> impl Iterator<Item = (Part, Setting)> {
        let everybody = self.everybody.iter().map(|setting| (Part::Everybody, *setting));
        fn of(map: &BTreeMap<Arc<str>, bool>, part: fn(Arc<str>) -> Part) -> impl Iterator<Item = (Part, Setting)> {
            map.iter().map(move |(name, on)| (part(Arc::clone(name)), Setting::of(*on)))
        }
        let targets = of(&self.actors, Part::Actor).chain(of(&self.groups, Part::Group));
        everybody.chain(targets).chain(of(&self.nodes, Part::Node))
    }

    /// What is said for this part.
    pub fn get(&self, part: &Part) -> Option<Setting> {
        match part {
            Part::Everybody => self.everybody,
            Part::Actor(id) => self.actors.get(id).copied().map(Setting::of),
            Part::Group(group) => self.groups.get(group).copied().map(Setting::of),
            Part::Node(node) => self.nodes.get(node).copied().map(Setting::of),
        }
    }

    /// Says this for a part, or nothing. A target that is to have a share is on from 100 %.
    pub(crate) fn say(&mut self, part: &Part, setting: Option<Setting>) {
        let (map, name) = match part {
            Part::Everybody => return self.everybody = setting,
            Part::Actor(id) => (&mut self.actors, id),
            Part::Group(group) => (&mut self.groups, group),
            Part::Node(node) => (&mut self.nodes, node),
        };
        match setting {
            Some(setting) => _ = map.insert(Arc::clone(name), setting.plain()),
            None => _ = map.remove(name),
        }
    }

    pub(crate) fn targets(&self) -> usize {
        self.actors.len() + self.groups.len() + self.nodes.len()
    }
}

/// What is said about a flag, by its rule and, for everybody, by the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InForce<'a> {
    pub(crate) rule: &'a Arc<Rule>,
    pub(crate) everybody: Option<Setting>,
}

impl InForce<'_> {
    /// What is said for this part.
    pub(crate) fn get(self, part: &Part) -> Option<Setting> {
        if *part == Part::Everybody { self.everybody } else { self.rule.get(part) }
    }

    /// As a rule.
    pub(crate) fn to_rule(self) -> Arc<Rule> {
        if self.everybody == self.rule.everybody {
            return Arc::clone(self.rule);
        }
        Arc::new(Rule { everybody: self.everybody, ..Rule::clone(self.rule) })
    }

    /// Of all ids, where no target is asked after: what the node says on which the flags are, or everybody.
    pub(crate) fn share(self, flag: &Flag, node: Option<&str>) -> u16 {
        let on_node = node.and_then(|node| self.rule.nodes.get(node)).copied().map(Setting::of);
        on_node.or(self.everybody).unwrap_or(Setting::of(flag.default())).share()
    }

    /// Whether it is on for a target, where the flags are on this node.
    pub(crate) fn decide(self, flag: &Flag, target: &Target<'_>, node: Option<&str>) -> Explanation {
        fn of(part: fn(Arc<str>) -> Part, name: &str, on: bool) -> Explanation {
            Explanation { on, because: Because::Rule(part(name.into())) }
        }
        match self.names(target, node) {
            Some(Named::Actor(id, on)) => of(Part::Actor, id, on),
            Some(Named::Group(group, on)) => of(Part::Group, group, on),
            Some(Named::Node(node, on)) => of(Part::Node, node, on),
            None => match self.everybody {
                Some(Setting::Percent(percent)) => {
                    let bucket = target.id.map(|id| bucket(flag.seed(), id));
                    let on = bucket.map_or(percent == Percent::ALL, |bucket| bucket < percent.0);
                    Explanation { on, because: Because::Percent { percent, bucket } }
                }
                Some(setting) => Explanation { on: setting.plain(), because: Because::Rule(Part::Everybody) },
                None => Explanation { on: flag.default(), because: Because::Default },
            },
        }
    }

    /// The same without saying why, so without an allocation.
    pub(crate) fn is_on(self, flag: &Flag, target: &Target<'_>, node: Option<&str>) -> bool {
        match self.names(target, node) {
            Some(Named::Actor(_, on) | Named::Group(_, on) | Named::Node(_, on)) => on,
            None => share_is_on(self.everybody.unwrap_or(Setting::of(flag.default())).share(), flag, target.id),
        }
    }

    /// What names the target: the first of actor, groups and node that does.
    fn names<'a>(self, target: &Target<'a>, node: Option<&'a str>) -> Option<Named<'a>> {
        if let Some(id) = target.id
            && let Some(on) = self.rule.actors.get(id)
        {
            return Some(Named::Actor(id, *on));
        }
        let groups = || target.groups.iter().filter_map(|group| Some((*group, *self.rule.groups.get(*group)?)));
        if let Some((group, on)) = groups().find(|(_, on)| !on).or_else(|| groups().next()) {
            return Some(Named::Group(group, on));
        }
        let node = target.node.or(node)?;
        self.rule.nodes.get(node).map(|on| Named::Node(node, *on))
    }
}

enum Named<'a> {
    Actor(&'a str, bool),
    Group(&'a str, bool),
    Node(&'a str, bool),
}

/// Whether this share of all ids has this one.
#[inline]
pub(crate) fn share_is_on(share: u16, flag: &Flag, id: Option<&str>) -> bool {
    match share {
        0 => false,
        10_000 => true,
        share => id.is_some_and(|id| bucket(flag.seed(), id) < share),
    }
}
