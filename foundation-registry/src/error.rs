//! Why an entry was not put in, or not changed.

use std::{fmt, sync::Arc};

use foundation_context::Incarnation;
use foundation_sync::Nanos;

/// Why a name was not registered, or a group not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// Somebody who lives has it.
    AlreadyRegistered {
        /// The name.
        name: Arc<str>,
        /// Who has it.
        owner: Incarnation,
        /// Since when, in nanoseconds of the owners' clock.
        since: Nanos,
    },
    /// The one who would own it has ended, or was given up.
    Fenced(Incarnation),
    /// The one who would own it is of another universe: not one of the registry's owners.
    Stranger(Incarnation),
    /// The registry has as many entries as it has room for.
    Full {
        /// What was not registered.
        key: Arc<str>,
        /// How many it has room for.
        capacity: usize,
    },
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRegistered { name, owner, .. } => {
                write!(f, "`{name}` is taken by {owner}, which lives: stop it first, or choose another name")
            }
            Self::Fenced(owner) => write!(f, "{owner} has ended: it can register nothing any more"),
            Self::Stranger(owner) => write!(
                f,
                "{owner} is not one of the registry's owners: begin it with the `Owners` that the registry was built with"
            ),
            Self::Full { key, capacity } => write!(
                f,
                "there is no room for `{key}`: the registry has room for {capacity} entries, and all of it is taken; \
                 unregister some, or build it with a greater capacity"
            ),
        }
    }
}

impl std::error::Error for RegisterError {}

/// Why an entry was not updated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// Nobody has the name.
    NotRegistered {
        /// The name.
        name: Arc<str>,
    },
    /// Somebody else has it.
    NotOwner {
        /// The name.
        name: Arc<str>,
        /// Who has it.
        owner: Incarnation,
    },
    /// The one who would update it has ended, or was given up.
    Fenced(Incarnation),
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegistered { name } => write!(f, "nobody has the name `{name}`: register it first"),
            Self::NotOwner { name, owner } => write!(f, "`{name}` is {owner}'s: only its owner updates it"),
            Self::Fenced(owner) => write!(f, "{owner} has ended: it can update nothing any more"),
        }
    }
}

impl std::error::Error for UpdateError {}
