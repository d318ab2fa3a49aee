//! A batch that becomes one event.

use foundation_context::{Field, Fields, Value, fields};

use super::{Batch, Batching};
use crate::{EventName, Telemetry};

impl Telemetry {
    /// Collects measurements, and emits one event per batch: its measurements are `batch_size`, how many they were, and the
    /// sums of those named in `sums`, each as far as it is a number; one that none of them has is left out. A sum of whole
    /// numbers is one, and stays at the greatest or least that there is; with a fraction among them it is a fraction.
    /// Nothing else is summed: a sum of times says nothing.
    ///
    /// ```
    /// use foundation_context::fields;
    /// use foundation_telemetry::{Batching, EventName, Telemetry, event_name};
    ///
    /// const SENT: EventName = event_name!("mail", "sent");
    ///
    /// let telemetry = Telemetry::new();
    /// telemetry.attach("check", &[SENT], |event| {
    ///     assert_eq!(event.measurements, fields! { batch_size: 2_u64, bytes: 30_u64 });
    /// })?;
    /// let sent = telemetry.batch_events(SENT, Batching::of(2), &["bytes"]);
    /// sent.add(fields! { bytes: 10, at: 1_000 })?;
    /// sent.add(fields! { bytes: 20, at: 2_000 })?;
    /// assert_eq!((sent.figures().batches, telemetry.failures()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropped, it is over"]
    pub fn batch_events(&self, name: EventName, batching: Batching, sums: &[&'static str]) -> Batch<Fields> {
        let (emitter, sums) = (self.emitter(name), sums.to_vec());
        self.batch(&name.to_string(), batching, move |items: Vec<Fields>| {
            emitter.emit(|| {
                let sum = |name: &&'static str| Some((*name, sum(items.iter().filter_map(|item| item.get(name)))?));
                let size: Field = ("batch_size", Value::U64(items.len() as u64));
                (std::iter::once(size).chain(sums.iter().filter_map(sum)).collect(), fields! {})
            });
        })
    }
}

/// `None` if there is no number among them.
fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Option<Value> {
    let (mut whole, mut fraction, mut found) = (0_i128, None, false);
    for value in values {
        match *value {
            Value::U64(number) => whole = whole.saturating_add(number.into()),
            Value::I64(number) => whole = whole.saturating_add(number.into()),
            Value::F64(number) => fraction = Some(fraction.unwrap_or(0.0) + number),
            _ => continue,
        }
        found = true;
    }
    found.then(|| match fraction {
        Some(fraction) => Value::F64(fraction + whole as f64),
        None if whole < 0 => Value::I64(i64::try_from(whole).unwrap_or(i64::MIN)),
        None => Value::U64(u64::try_from(whole).unwrap_or(u64::MAX)),
    })
}
