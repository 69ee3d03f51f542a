//! Reads a file of test vectors: cases of fields, each of which a check must take.

use std::fmt::Debug;
use std::str::FromStr;

use assent_proto::hash::Hash;

/// A file: what its cases are about, and the cases.
pub(crate) struct File {
    pub(crate) kind: String,
    pub(crate) cases: Vec<Case>,
}

/// A case: its fields that nobody has taken yet, in order.
pub(crate) struct Case {
    pub(crate) name: String,
    fields: Vec<(String, String)>,
}

/// Lines of a block: `name: value`.
fn fields(block: &str) -> Vec<(String, String)> {
    let lines = block.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: `{line}`"));
            (name.to_owned(), value.trim_start().to_owned())
        })
        .collect()
}

impl File {
    pub(crate) fn parse(text: &str) -> Self {
        let mut blocks = text.split("\n\n");
        let head = fields(blocks.next().expect("a file has a head"));
        let [(vectors, kind), (version, one)] = &head[..] else { panic!("head: {head:?}") };
        assert_eq!((&**vectors, &**version, &**one), ("vectors", "version", "1"));
        let cases = blocks.map(|block| {
            let mut case = Case { name: String::new(), fields: fields(block) };
            case.name = case.text("case");
            case
        });
        Self { kind: kind.clone(), cases: cases.collect() }
    }
}

impl Case {
    /// The value of the field, if it is there.
    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.remove(at).1)
    }

    pub(crate) fn text(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| panic!("case `{}` has no `{name}`", self.name))
    }

    pub(crate) fn parsed<T: FromStr<Err: Debug>>(&mut self, name: &str) -> T {
        self.text(name).parse().expect("the value is of its type")
    }

    pub(crate) fn bytes(&mut self, name: &str) -> Vec<u8> {
        bytes(&self.text(name))
    }

    pub(crate) fn hash(&mut self, name: &str) -> Hash {
        Hash(self.bytes(name).try_into().expect("a hash has 32 bytes"))
    }

    /// All values of fields of this name, in order.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.optional(name)).collect()
    }

    pub(crate) fn all_bytes(&mut self, name: &str) -> Vec<Vec<u8>> {
        self.all(name).iter().map(|value| bytes(value)).collect()
    }

    pub(crate) fn hashes(&mut self, name: &str) -> Vec<Hash> {
        let hashes = self.all_bytes(name).into_iter();
        hashes.map(|bytes| Hash(bytes.try_into().expect("a hash has 32 bytes"))).collect()
    }

    /// Fails on a field that no check has taken.
    pub(crate) fn end(self) {
        assert_eq!(self.fields, [], "fields of case `{}` that no check knows", self.name);
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let (digits, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "half a byte: `{hex}`");
    let byte =
        |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex");
    digits.iter().map(byte).collect()
}
