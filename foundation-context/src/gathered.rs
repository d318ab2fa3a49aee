//! What is visible of all that was said: each name once, what was said last, within limits.

use crate::{Field, Fields, Value};

/// The most fields that a context holds.
pub const MOST_FIELDS: usize = 64;
/// The most bytes of names and texts that a context holds.
pub const MOST_BYTES: usize = 4096;

/// What stands where text was cut off.
const CUT: char = '…';

#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    fields: Fields,
    /// Of names and texts.
    bytes: usize,
    most_bytes: usize,
    cut: u64,
}

impl Gathered {
    fn new(most_bytes: usize) -> Self {
        Self { fields: Fields::new(), bytes: 0, most_bytes, cut: 0 }
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(crate) fn into_fields(self) -> Fields {
        self.fields
    }

    /// How many fields were left out or shortened.
    pub(crate) fn cut(&self) -> u64 {
        self.cut
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.cut == 0
    }

    /// Of these fields alone.
    pub(crate) fn of(fields: Fields, most_bytes: usize) -> Self {
        let bytes = fields.iter().map(size).sum();
        let is_new = |at: usize, name| !fields.iter().take(at).any(|(before, _)| *before == name);
        let fits = fields.len() <= MOST_FIELDS && bytes <= most_bytes;
        if fits && fields.iter().enumerate().all(|(at, (name, _))| is_new(at, *name)) {
            return Self { fields, bytes, ..Self::new(most_bytes) };
        }
        let mut gathered = Self::new(most_bytes);
        gathered.add(&fields);
        gathered
    }

    pub(crate) fn add(&mut self, fields: &Fields) {
        fields.iter().for_each(|field| self.add_one(field));
    }

    pub(crate) fn and(&self, fields: &Fields) -> Self {
        let mut both = self.clone();
        both.add(fields);
        both
    }

    fn add_one(&mut self, (name, value): &Field) {
        let known = self.fields.iter().position(|(known, _)| known == name);
        let bytes = self.bytes + name.len() + text_of(value);
        if known.is_none() && self.fields.len() < MOST_FIELDS && bytes <= self.most_bytes {
            self.bytes = bytes;
            self.fields.push((name, value.clone()));
            return;
        }
        let before = known.map_or(0, |at| size(&self.fields.as_mut_slice()[at]));
        let room = self.most_bytes - (self.bytes - before);
        let has_place = known.is_some() || self.fields.len() < MOST_FIELDS;
        let fitting = room.checked_sub(name.len()).filter(|_| has_place).and_then(|room| fit(value, room));
        self.cut += u64::from(fitting.as_ref().is_none_or(|(_, shortened)| *shortened));
        self.bytes -= before;
        match (fitting, known) {
            (Some((value, _)), known) => {
                let field = (*name, value);
                self.bytes += size(&field);
                match known {
                    Some(at) => self.fields.as_mut_slice()[at] = field,
                    None => self.fields.push(field),
                }
            }
            // What was said before is not so any more.
            (None, Some(at)) => self.fields.remove(at),
            (None, None) => {}
        }
    }
}

fn size((name, value): &Field) -> usize {
    name.len() + text_of(value)
}

fn text_of(value: &Value) -> usize {
    match value {
        Value::Secret(secret) => secret.expose().len(),
        value => value.as_str().map_or(0, str::len),
    }
}

/// The value in so many bytes, and whether it was shortened.
fn fit(value: &Value, room: usize) -> Option<(Value, bool)> {
    if text_of(value) <= room {
        return Some((value.clone(), false));
    }
    shortened(value.as_str()?, room).map(|text| (text.into(), true))
}

/// So many bytes of the text at most, of which the last say that it was cut.
pub(crate) fn shortened(text: &str, room: usize) -> Option<String> {
    let kept = text.floor_char_boundary(room.checked_sub(CUT.len_utf8())?);
    Some(format!("{}{CUT}", &text[..kept]))
}
