//! Templates: the attributes that a caller gives, taken out one by one.
//!
//! What nobody took is refused: no attribute is silently ignored. Every value is bounded before it gets here.
//! (PKCS#11 2.40, section 4.1.1.)

use cryptoki_sys::*;

use crate::failure::Failure;
use crate::limits::MAX_NAME_BYTES;

/// One attribute of a caller: its type and its value as it lay in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: CK_ATTRIBUTE_TYPE,
    pub(crate) value: Vec<u8>,
}

/// A caller's attributes, each type at most once.
#[derive(Debug)]
pub(crate) struct Template {
    entries: Vec<Entry>,
}

impl Template {
    /// Refuses a type that is given twice.
    pub(crate) fn new(entries: Vec<Entry>) -> Result<Self, Failure> {
        let mut kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
        kinds.sort_unstable();
        if kinds.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
            return Err(Failure::TemplateInconsistent);
        }
        Ok(Self { entries })
    }

    /// The value of `kind`, if it is given.
    pub(crate) fn take(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Option<Vec<u8>> {
        let at = self.entries.iter().position(|entry| entry.kind == kind)?;
        Some(self.entries.swap_remove(at).value)
    }

    /// A `CK_BBOOL`.
    pub(crate) fn take_flag(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<bool>, Failure> {
        match self.take(kind).as_deref() {
            None => Ok(None),
            Some([CK_FALSE]) => Ok(Some(false)),
            Some([CK_TRUE]) => Ok(Some(true)),
            Some(_) => Err(Failure::AttributeValueInvalid),
        }
    }

    /// A `CK_ULONG`.
    pub(crate) fn take_number(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<CK_ULONG>, Failure> {
        let Some(value) = self.take(kind) else { return Ok(None) };
        let bytes = value.try_into().map_err(|_| Failure::AttributeValueInvalid)?;
        Ok(Some(CK_ULONG::from_ne_bytes(bytes)))
    }

    /// A short UTF-8 string; empty when it is not given.
    pub(crate) fn take_text(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Result<String, Failure> {
        text(self.take(kind).unwrap_or_default())
    }

    /// A few bytes; empty when they are not given.
    pub(crate) fn take_name(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Result<Vec<u8>, Failure> {
        name(self.take(kind).unwrap_or_default())
    }

    /// `kind` may be given, but only as `only`.
    pub(crate) fn take_fixed(&mut self, kind: CK_ATTRIBUTE_TYPE, only: &[u8]) -> Result<(), Failure> {
        match self.take(kind) {
            Some(value) if value != only => Err(Failure::TemplateInconsistent),
            _ => Ok(()),
        }
    }

    /// Each of `kinds` may be given, but only as false.
    pub(crate) fn take_denied(&mut self, kinds: &[CK_ATTRIBUTE_TYPE]) -> Result<(), Failure> {
        kinds.iter().try_for_each(|&kind| self.take_fixed(kind, &[CK_FALSE]))
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.entries.first() {
            None => Ok(()),
            Some(entry) if SET_BY_THE_SLOT.contains(&entry.kind) => Err(Failure::AttributeReadOnly),
            Some(_) => Err(Failure::AttributeTypeInvalid),
        }
    }
}

/// Attributes that say how a key came to be: no caller may claim them.
const SET_BY_THE_SLOT: [CK_ATTRIBUTE_TYPE; 7] = [
    CKA_LOCAL,
    CKA_KEY_GEN_MECHANISM,
    CKA_ALWAYS_SENSITIVE,
    CKA_NEVER_EXTRACTABLE,
    CKA_EC_POINT,
    CKA_TRUSTED,
    CKA_VALUE,
];

/// `value` as a short UTF-8 string.
pub(crate) fn text(value: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(name(value)?).map_err(|_| Failure::AttributeValueInvalid)
}

/// `value` as a few bytes.
pub(crate) fn name(value: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if value.len() > MAX_NAME_BYTES { Err(Failure::AttributeValueInvalid) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(entries: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Result<Template, Failure> {
        Template::new(
            entries.iter().map(|(kind, value)| Entry { kind: *kind, value: value.to_vec() }).collect(),
        )
    }

    #[test]
    fn an_attribute_given_twice_is_inconsistent() {
        let twice = template(&[(CKA_LABEL, b"a"), (CKA_ID, b"1"), (CKA_LABEL, b"b")]);
        assert_eq!(twice.unwrap_err(), Failure::TemplateInconsistent);
    }

    #[test]
    fn an_attribute_that_nobody_took_is_refused() {
        assert_eq!(template(&[(CKA_MODULUS, b"a")]).unwrap().finish(), Err(Failure::AttributeTypeInvalid));
        assert_eq!(template(&[(CKA_LOCAL, &[1])]).unwrap().finish(), Err(Failure::AttributeReadOnly));
    }

    #[test]
    fn flags_and_numbers_have_one_length() {
        let mut short = template(&[(CKA_TOKEN, b""), (CKA_CLASS, b"1234")]).unwrap();
        assert_eq!(short.take_flag(CKA_TOKEN), Err(Failure::AttributeValueInvalid));
        assert_eq!(short.take_number(CKA_CLASS), Err(Failure::AttributeValueInvalid));
    }

    #[test]
    fn a_flag_is_zero_or_one() {
        assert_eq!(
            template(&[(CKA_TOKEN, &[2])]).unwrap().take_flag(CKA_TOKEN),
            Err(Failure::AttributeValueInvalid)
        );
    }
}
