//! The intent: what an agent asks, read value by value into bounded buffers.
//!
//! The rule it keeps: it stores handles and borrows text; the first value that does not fit a bound or its place is the
//! answer to all that follows. Whether the catalog knows such an intent is asked by [`Intent::classify`].
//!
//! It is some twenty kilobytes large: make one where it is filled, do not move it, and use it for all intents of a batch.

use crate::classification::Misfit;
use crate::contents::{Contents, Uid, number};
use crate::evaluation::Evaluation;
use crate::limits::{MAX_CONTEXT_SLOTS, MAX_INTENT_DEPTH, MAX_INTENT_TEXT_BYTES, MAX_INTENT_VALUES};
use crate::scope::Standing;
use crate::value::{Address, Content, Field, Source, Span, Value};
use crate::view::View;
use crate::world::Scratch;
use heapless::Vec;

/// Fields that stand before the outermost record's own: room for what the appliance asserts.
pub(crate) const SPARE_FIELDS: u32 = 1;

/// A record or set that is being read.
#[derive(Clone, Copy, Debug)]
struct Opening {
    is_record: bool,
    start: u32,
    length: u32,
    filled: u32,
    /// The name that was read last and has no value yet.
    name: Option<u32>,
}

/// One intent.
#[derive(Debug)]
pub struct Intent<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) contents: Contents<'a>,
    /// Attributes of the context by their slots, once it is classified.
    pub(crate) slots: Vec<Value, MAX_CONTEXT_SLOTS>,
    /// Where it stands; in which environment, once it is classified.
    pub(crate) standing: Standing<'a>,
    /// What policies write. It is here, and not made anew for each intent, for its size.
    pub(crate) scratch: Scratch,
    /// What the last evaluation gave, likewise.
    pub(crate) evaluation: Evaluation,
    open: Vec<Opening, MAX_INTENT_DEPTH>,
    text_bytes: usize,
    pub(crate) misfit: Option<Misfit<'a>>,
}

impl<'a> Intent<'a> {
    /// Room for one intent after the other. Nothing was asked yet, and nothing can be classified.
    #[inline]
    pub fn new(view: &'a View<'a>) -> Self {
        Self {
            view,
            contents: Contents {
                principal: u32::MAX,
                action: u32::MAX,
                resource: u32::MAX,
                context: None,
                variables: [Value::ABSENT; 4],
                strings: Vec::new(),
                elements: Vec::new(),
                fields: Vec::new(),
                addresses: Vec::new(),
                strangers: Vec::new(),
                unknown_names: Vec::new(),
                absent: None,
            },
            slots: Vec::new(),
            standing: Standing::new(),
            scratch: Scratch::new(),
            evaluation: Evaluation::new(),
            open: Vec::new(),
            text_bytes: 0,
            misfit: None,
        }
    }

    /// Begins an intent, and forgets the one before. Its context follows as one record; without one it fits no action.
    pub fn ask(&mut self, principal: Uid<'a>, action: Uid<'a>, resource: Uid<'a>) {
        self.forget();
        // Three strangers always fit: the limit is larger.
        self.contents.action = self.entity_number(action).unwrap_or(u32::MAX);
        // An action that is unknown is not an absent entity but an intent that cannot be classified.
        self.contents.absent = None;
        self.contents.principal = self.entity_number(principal).unwrap_or(u32::MAX);
        self.contents.resource = self.entity_number(resource).unwrap_or(u32::MAX);
        let Contents { principal, action, resource, .. } = self.contents;
        let [principal, action, resource] = [principal, action, resource].map(Value::entity);
        self.contents.variables = [principal, action, resource, Value::ABSENT];
    }

    fn forget(&mut self) {
        let contents = &mut self.contents;
        contents.context = None;
        contents.strings.clear();
        contents.elements.clear();
        contents.fields.clear();
        contents.addresses.clear();
        contents.strangers.clear();
        contents.unknown_names.clear();
        contents.absent = None;
        self.slots.clear();
        self.standing = Standing::new();
        self.open.clear();
        self.text_bytes = 0;
        self.misfit = None;
    }

    fn entity_number(&mut self, uid: Uid<'a>) -> Result<u32, Misfit<'a>> {
        self.contents.entity(self.view.image(), self.view.snapshot(), uid)
    }

    /// Keeps the first misfit: later ones may only follow from it.
    fn noting<T>(&mut self, result: Result<T, Misfit<'a>>) -> Result<T, Misfit<'a>> {
        result.inspect_err(|misfit| {
            self.misfit.get_or_insert(*misfit);
        })
    }

    /// Begins a record of `length` attributes; each is a [`Self::key`] and a value.
    pub fn begin_record(&mut self, length: usize) -> Result<(), Misfit<'a>> {
        let spare = if self.open.is_empty() { SPARE_FIELDS as usize } else { 0 };
        let result = self
            .reserve_fields(length.saturating_add(spare))
            .and_then(|start| self.begin(true, start.saturating_add(spare), length));
        self.noting(result)
    }

    /// Begins a set of `length` elements.
    pub fn begin_set(&mut self, length: usize) -> Result<(), Misfit<'a>> {
        let result = self.reserve_elements(length).and_then(|start| self.begin(false, start, length));
        self.noting(result)
    }

    fn reserve_fields(&mut self, length: usize) -> Result<usize, Misfit<'a>> {
        let fields = &mut self.contents.fields;
        let (start, empty) = (fields.len(), Field { name: u32::MAX, value: Value::bool(false) });
        let end = start.saturating_add(length);
        if end > MAX_INTENT_VALUES.saturating_add(1) {
            return Err(Misfit::TooLarge("attributes"));
        }
        fields.resize(end, empty).map_err(|_| Misfit::TooLarge("attributes"))?;
        Ok(start)
    }

    fn reserve_elements(&mut self, length: usize) -> Result<usize, Misfit<'a>> {
        let elements = &mut self.contents.elements;
        let start = elements.len();
        let end = start.saturating_add(length);
        elements.resize(end, Value::bool(false)).map_err(|_| Misfit::TooLarge("elements"))?;
        Ok(start)
    }

    fn begin(&mut self, is_record: bool, start: usize, length: usize) -> Result<(), Misfit<'a>> {
        let opening =
            Opening { is_record, start: number(start)?, length: number(length)?, filled: 0, name: None };
        self.open.push(opening).map_err(|_| Misfit::TooLarge("nesting"))
    }

    /// Names the attribute whose value follows.
    pub fn key(&mut self, name: &'a str) -> Result<(), Misfit<'a>> {
        let result = self.take_key(name);
        self.noting(result)
    }

    fn take_key(&mut self, name: &'a str) -> Result<(), Misfit<'a>> {
        let image = self.view.image();
        let name_number = match image.names.find(image.text, name) {
            Some(number) => number,
            None => {
                let unknown = &mut self.contents.unknown_names;
                let place = match unknown.iter().position(|known| *known == name) {
                    Some(place) => place,
                    None => {
                        unknown.push(name).map_err(|_| Misfit::TooLarge("unknown attributes"))?;
                        unknown.len().saturating_sub(1)
                    }
                };
                number(image.names.rows.len().saturating_add(place))?
            }
        };
        match self.open.last_mut() {
            Some(opening) if opening.is_record && opening.name.is_none() => {
                opening.name = Some(name_number);
                Ok(())
            }
            Some(_) | None => Err(Misfit::Malformed),
        }
    }

    /// Ends the record or set that was begun last.
    pub fn end(&mut self) -> Result<(), Misfit<'a>> {
        let result = self.close();
        self.noting(result)
    }

    fn close(&mut self) -> Result<(), Misfit<'a>> {
        let opening = self.open.pop().ok_or(Misfit::Malformed)?;
        if opening.filled != opening.length || opening.name.is_some() {
            return Err(Misfit::Malformed);
        }
        let span = Span { source: Source::Intent, start: opening.start, length: opening.length };
        if !opening.is_record {
            return self.place(Value::set(span));
        }
        self.sort_record(span)?;
        self.place(Value::record(span))
    }

    /// Sorts a record by name, as every reader expects it. A name that occurs twice is refused.
    pub(crate) fn sort_record(&mut self, span: Span) -> Result<(), Misfit<'a>> {
        let (start, length) = (span.start as usize, span.length as usize);
        let fields =
            self.contents.fields.get_mut(start..start.saturating_add(length)).ok_or(Misfit::Malformed)?;
        match sort_fields(fields) {
            true => Ok(()),
            false => Err(Misfit::Malformed),
        }
    }

    fn place(&mut self, value: Value) -> Result<(), Misfit<'a>> {
        let Some(opening) = self.open.last_mut() else {
            return match (value.content(), self.contents.context) {
                (Content::Record(_), None) => {
                    self.contents.keep_context(value);
                    Ok(())
                }
                (_, _) => Err(Misfit::Malformed),
            };
        };
        if opening.filled >= opening.length {
            return Err(Misfit::Malformed);
        }
        let place = opening.start.saturating_add(opening.filled) as usize;
        opening.filled = opening.filled.saturating_add(1);
        if opening.is_record {
            let name = opening.name.take().ok_or(Misfit::Malformed)?;
            *self.contents.fields.get_mut(place).ok_or(Misfit::Malformed)? = Field { name, value };
        } else {
            *self.contents.elements.get_mut(place).ok_or(Misfit::Malformed)? = value;
        }
        Ok(())
    }

    fn put(&mut self, value: Result<Value, Misfit<'a>>) -> Result<(), Misfit<'a>> {
        let result = value.and_then(|value| self.place(value));
        self.noting(result)
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) -> Result<(), Misfit<'a>> {
        self.put(Ok(Value::bool(value)))
    }

    /// A 64-bit integer.
    pub fn long(&mut self, value: i64) -> Result<(), Misfit<'a>> {
        self.put(Ok(Value::long(value)))
    }

    /// A decimal, in ten-thousandths.
    pub fn decimal(&mut self, ten_thousandths: i64) -> Result<(), Misfit<'a>> {
        self.put(Ok(Value::decimal(ten_thousandths)))
    }

    /// A point in time, in milliseconds since 1970.
    pub fn datetime(&mut self, ms: i64) -> Result<(), Misfit<'a>> {
        self.put(Ok(Value::datetime(ms)))
    }

    /// A duration in milliseconds.
    pub fn duration(&mut self, ms: i64) -> Result<(), Misfit<'a>> {
        self.put(Ok(Value::duration(ms)))
    }

    /// Text.
    pub fn string(&mut self, value: &'a str) -> Result<(), Misfit<'a>> {
        let value = self.keep_text(value);
        self.put(value)
    }

    fn keep_text(&mut self, value: &'a str) -> Result<Value, Misfit<'a>> {
        self.text_bytes = self.text_bytes.saturating_add(value.len());
        if self.text_bytes > MAX_INTENT_TEXT_BYTES {
            return Err(Misfit::TooLarge("text"));
        }
        let start = number(self.contents.strings.len())?;
        self.contents.strings.push(value).map_err(|_| Misfit::TooLarge("strings"))?;
        Ok(Value::string(Span { source: Source::Intent, start, length: number(value.len())? }))
    }

    /// An IP address or range.
    pub fn ip(&mut self, value: Address) -> Result<(), Misfit<'a>> {
        let place = self.contents.addresses.len();
        let kept = self.contents.addresses.push(value).map_err(|_| Misfit::TooLarge("addresses"));
        let value = kept
            .and_then(|()| Ok(Value::ip(Span { source: Source::Intent, start: number(place)?, length: 1 })));
        self.put(value)
    }

    /// An entity.
    pub fn entity(&mut self, uid: Uid<'a>) -> Result<(), Misfit<'a>> {
        let value = self.entity_number(uid).map(Value::entity);
        self.put(value)
    }
}

/// Sorts by insertion: what the wire brings is nearly always sorted already. Returns whether all names differ.
fn sort_fields(fields: &mut [Field]) -> bool {
    for end in 1..fields.len() {
        let mut at = end;
        while let Some(before) = at.checked_sub(1) {
            let (Some(left), Some(right)) = (fields.get(before).copied(), fields.get(at).copied()) else {
                break;
            };
            if left.name == right.name {
                return false;
            }
            if left.name < right.name {
                break;
            }
            if let Some(slot) = fields.get_mut(before) {
                *slot = right;
            }
            if let Some(slot) = fields.get_mut(at) {
                *slot = left;
            }
            at = before;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[u32]) -> Vec<Field, 8> {
        of.iter().map(|name| Field { name: *name, value: Value::bool(true) }).collect()
    }

    #[test]
    fn fields_end_up_sorted_and_twins_are_found() {
        let mut fields = names(&[3, 1, 2, 0]);
        assert!(sort_fields(&mut fields));
        assert_eq!(fields.iter().map(|field| field.name).collect::<Vec<_, 8>>(), [0, 1, 2, 3]);
        for twins in [&[1, 1][..], &[2, 1, 2], &[1, 3, 2, 1]] {
            assert!(!sort_fields(&mut names(twins)), "{twins:?}");
        }
    }
}
