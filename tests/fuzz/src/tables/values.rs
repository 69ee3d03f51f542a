//! Values of one source, the image's or the snapshot's: text, elements, fields and addresses, and spans into them.

use super::{FIRST, LITERALS, TEXTS, number};
use crate::choices::Choices;
use assent_evaluator::{Address, Field, Range, Source, Span, Value};

/// Tables of one source of values.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) text: String,
    pub(super) elements: Vec<Value>,
    pub(super) fields: Vec<Field>,
    pub(super) addresses: Vec<Address>,
}

impl Values {
    pub(super) fn keep(&mut self, text: &str) -> Range {
        let start = number(self.text.len());
        self.text.push_str(text);
        Range { start, length: number(text.len()) }
    }

    /// A value of any type; sets and records hold what was laid before.
    pub(super) fn any(&mut self, source: Source, choices: &mut Choices<'_>) -> Value {
        let span =
            |start: usize, length: usize| Span { source, start: number(start), length: number(length) };
        match choices.below(11) {
            0 => Value::bool(choices.below(2) == 0),
            1 => Value::long(choices.long()),
            2 => Value::decimal(choices.long()),
            3 => Value::datetime(choices.long()),
            4 => Value::duration(choices.long()),
            5 => Value::entity(number(choices.below(LITERALS))),
            6 => Value::ip(span(choices.below(self.addresses.len()), 1)),
            7 | 8 => {
                let Range { start, length } = self.keep(choices.pick(TEXTS));
                Value::string(Span { source, start, length })
            }
            9 => {
                let start = choices.below(self.elements.len() + 1);
                Value::set(span(start, choices.below(self.elements.len() - start + 1)))
            }
            _ => {
                let start = choices.below(self.fields.len() + 1);
                let left = &self.fields[start..];
                let sorted = left.windows(2).take_while(|pair| pair[0].name < pair[1].name).count();
                Value::record(span(
                    start,
                    choices.below(sorted + 1 + usize::from(!left.is_empty())).min(left.len()),
                ))
            }
        }
    }

    pub(super) fn fill(&mut self, source: Source, choices: &mut Choices<'_>) {
        self.addresses.extend(Address::v4([10, 0, 0, choices.byte()], choices.byte() % 33));
        self.addresses.extend(Address::v6([choices.byte(); 16], choices.byte() % 129));
        for _ in 0..choices.below(12) {
            let value = self.any(source, choices);
            self.elements.push(value);
        }
        for _ in 0..choices.below(12) {
            let value = self.any(source, choices);
            self.fields.push(Field { name: FIRST + number(choices.below(8)), value });
        }
    }
}
