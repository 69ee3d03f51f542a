//! A list in a charter: written from a slice, read where it lies in the leaf.
//!
//! The rule it keeps: a list that was read has been walked to its end once, so walking it again meets no error. A charter's
//! lists are long and rare, and every other entry would have to be as large as they are if they stood in it.

use core::fmt;
use core::marker::PhantomData;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use crate::codec::{CodecError, Cursor};

/// Elements in order, lent by whoever wrote them or by the leaf that was read.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Kind<'a, T>);

#[derive(Clone, Copy)]
enum Kind<'a, T> {
    Written(&'a [T]),
    /// So many elements, as they are encoded.
    Read(usize, &'a [u8], PhantomData<T>),
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self(Kind::Written(&[]))
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(elements: &'a [T]) -> Self {
        Self(Kind::Written(elements))
    }
}

impl<T> List<'_, T> {
    /// How many elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Kind::Written(elements) => elements.len(),
            Kind::Read(count, ..) => count,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Copy + Deserialize<'a>> List<'a, T> {
    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let (written, mut rest): (&[T], &[u8]) = match self.0 {
            Kind::Written(elements) => (elements, &[]),
            Kind::Read(_, bytes, _) => (&[], bytes),
        };
        let read = core::iter::from_fn(move || {
            let (element, after) = postcard::take_from_bytes(rest).ok()?;
            rest = after;
            Some(element)
        });
        written.iter().copied().chain(read.take(self.len()))
    }

    /// Reads a list of at most `max` elements. Whether its encoding is canonical, the reader of the whole body tells.
    pub(super) fn read(cursor: &mut Cursor<'a>, max: usize) -> Result<Self, CodecError> {
        let count = cursor.count(max)?;
        let before = cursor.rest();
        let mut rest = before;
        for _ in 0..count {
            (_, rest) = postcard::take_from_bytes::<T>(rest).map_err(|_| CodecError::Malformed)?;
        }
        let bytes = cursor.take(before.len().saturating_sub(rest.len()))?;
        Ok(Self(Kind::Read(count, bytes, PhantomData)))
    }
}

impl<'a, T: Copy + PartialEq + Deserialize<'a>> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Copy + Eq + Deserialize<'a>> Eq for List<'a, T> {}

impl<'a, T: Copy + fmt::Debug + Deserialize<'a>> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// As postcard writes any list: the count, then the elements.
impl<'a, T: Copy + Serialize + Deserialize<'a>> Serialize for List<'a, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|element| list.serialize_element(&element))?;
        list.end()
    }
}
