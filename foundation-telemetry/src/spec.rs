//! What an event is declared to say.

use std::fmt;

use foundation_context::{Fields, Value};

use crate::Event;

/// What an event is declared to say. [`events!`](crate::events) makes one with the event's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventSpec {
    /// What has happened when it is emitted.
    pub what: &'static str,
    /// Its numbers.
    pub measurements: &'static [FieldSpec],
    /// What else it says.
    pub metadata: &'static [FieldSpec],
    /// Which fields nobody can name before are among its metadata, if any are: those of a context, of a user's span.
    pub more: Option<&'static str>,
}

/// A field of an event, as it is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What its value is, or of which unit: `"ns"`, `"count"`, `"text"`.
    pub unit: &'static str,
    /// When it is there; `None`: always.
    pub when: Option<&'static str>,
}

impl FieldSpec {
    /// A field that is there always, or only then.
    pub const fn new(name: &'static str, unit: &'static str, when: Option<&'static str>) -> Self {
        Self { name, unit, when }
    }
}

impl EventSpec {
    /// What an event of these fields says.
    pub const fn new(
        what: &'static str,
        measurements: &'static [FieldSpec],
        metadata: &'static [FieldSpec],
        more: Option<&'static str>,
    ) -> Self {
        Self { what, measurements, metadata, more }
    }

    /// How the event differs from what is declared here; empty if it does not: a field that is missing, one that is not
    /// declared, a measurement that is no number.
    pub fn misfits(&self, event: &Event) -> Vec<String> {
        let mut misfits = Vec::new();
        let mut check = |kind: &str, declared: &[FieldSpec], fields: &Fields, more: bool| {
            let missing = declared.iter().filter(|spec| spec.when.is_none() && fields.get(spec.name).is_none());
            misfits.extend(missing.map(|spec| format!("the {kind} `{}` is missing", spec.name)));
            let known = |name: &str| more || declared.iter().any(|spec| spec.name == name);
            let strange = fields.iter().filter(|(name, _)| !known(name));
            misfits.extend(strange.map(|(name, _)| format!("the {kind} `{name}` is not declared")));
        };
        check("measurement", self.measurements, &event.measurements, false);
        check("metadata", self.metadata, &event.metadata, self.more.is_some());
        let number = |value: &Value| matches!(value, Value::U64(_) | Value::I64(_) | Value::F64(_));
        let texts = event.measurements.iter().filter(|(_, value)| !number(value));
        misfits.extend(texts.map(|(name, _)| format!("the measurement `{name}` is no number")));
        misfits
    }
}

/// As it stands in a table: `age (ns)`, `tag (text, if it has one)`.
impl fmt::Display for FieldSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.unit)?;
        if let Some(when) = self.when {
            write!(f, ", if {when}")?;
        }
        f.write_str(")")
    }
}

/// Declares events: a constant for each, an [`EventName`](crate::EventName) that knows what it says, and a list of them
/// all.
///
/// The comment of a constant says what has happened; each field has a unit, and `if` says when a field is there that is
/// not there always. `.. "those of the context"` says that metadata has fields that nobody can name before. The fields are
/// added to the constant's documentation.
///
/// ```
/// use foundation_context::fields;
/// use foundation_telemetry::{Telemetry, events};
///
/// events! {
///     /// The events of the shop.
///     pub const EVENTS;
///
///     /// An order was paid.
///     pub const PAID = ["shop", "order", "paid"];
///     measurements { amount: "pence", duration: "ns" }
///     metadata { order: "text", coupon: "text" if "one was used" }
/// }
///
/// assert_eq!(EVENTS, [PAID]);
/// let spec = PAID.spec().expect("it is declared");
/// assert_eq!(spec.what, "An order was paid.");
/// assert_eq!(spec.metadata[1].to_string(), "coupon (text, if one was used)");
/// ```
#[macro_export]
macro_rules! events {
    (
        $(#[$about:meta])*
        $all_vis:vis const $all:ident;
        $(
            $(#[doc = $what:literal])+
            $vis:vis const $name:ident = [$($word:literal),+ $(,)?];
            measurements { $($measure:ident : $unit:literal $(if $when:literal)?),* $(,)? }
            metadata { $($field:ident : $kind:literal $(if $if:literal)?),* $(,)? $(.. $more:literal)? }
        )+
    ) => {
        $(
            $(#[doc = $what])+
            #[doc = ""]
            $(#[doc = concat!("- measurement `", stringify!($measure), "`: ", $unit $(, ", if ", $when)?)])*
            $(#[doc = concat!("- metadata `", stringify!($field), "`: ", $kind $(, ", if ", $if)?)])*
            $(#[doc = concat!("- metadata: ", $more)])?
            $vis const $name: $crate::EventName = $crate::EventName::declared(
                &[$($word),+],
                &$crate::EventSpec::new(
                    concat!($($what),+).trim_ascii(),
                    &[$($crate::FieldSpec::new(stringify!($measure), $unit, $crate::events!(@when $($when)?))),*],
                    &[$($crate::FieldSpec::new(stringify!($field), $kind, $crate::events!(@when $($if)?))),*],
                    $crate::events!(@when $($more)?),
                ),
            );
        )+

        $(#[$about])*
        $all_vis const $all: &[$crate::EventName] = &[$($name),+];
    };
    (@when) => { None };
    (@when $when:literal) => { Some($when) };
}
