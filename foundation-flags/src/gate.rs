//! A flag that is held.

use std::fmt;

use foundation_sync::Switch;

use crate::{Flag, Flags, Target};

/// A flag that was found once: reading it is one load, and for an id a hash besides; where the rule names targets, it is
/// looked into. It follows every change. A flag that is not declared says its default for ever; it is counted when the gate
/// is made, not when it is read. A clone is another handle.
#[derive(Clone)]
pub struct Gate {
    switch: Switch,
    flag: Flag,
    /// With the flag's number; `None`: it is not declared.
    flags: Option<(Flags, usize)>,
}

impl Gate {
    pub(crate) fn new(flags: &Flags, flag: &Flag) -> Self {
        let declared = flags.0.shape.table.find(flag);
        let undeclared = || if flags.0.undeclared(flag) { Switch::on() } else { Switch::off() };
        let switch = declared.map_or_else(undeclared, |number| flags.0.switches[number][0].clone());
        Self { switch, flag: *flag, flags: declared.map(|number| (flags.clone(), number)) }
    }

    /// Whether the flag is on for whom nothing is known.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// Whether the flag is on for who has this id.
    #[inline]
    pub fn enabled_for(&self, id: &str) -> bool {
        self.enabled_for_target(&Target::id(id))
    }

    /// Whether the flag is on for a target.
    #[inline]
    pub fn enabled_for_target(&self, target: &Target<'_>) -> bool {
        self.flags.as_ref().map_or(self.flag.default(), |(flags, number)| flags.0.is_on_for(*number, target))
    }

    /// Whether it is on, where that is the same for everybody.
    pub(crate) fn enabled_for_all(&self) -> Option<bool> {
        match &self.flags {
            Some((flags, number)) => flags.0.is_on_for_all(*number),
            None => Some(self.flag.default()),
        }
    }

    /// The flag.
    pub fn flag(&self) -> &Flag {
        &self.flag
    }

    /// The switch behind it, for a service that is told by one.
    pub fn switch(&self) -> &Switch {
        &self.switch
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} {})", self.flag.name(), if self.enabled() { "on" } else { "off" })
    }
}
