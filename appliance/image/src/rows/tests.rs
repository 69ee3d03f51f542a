//! Rows read and written: one encoding each.

use super::instruction::code;
use super::*;
use assent_evaluator::{ActionRow, Attribute, FactNames, Instruction, Shape, Terms, TypeRow};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Whatever is read is written again to the same bytes, and what is shorter or longer is no row.
fn is_one_encoding<T: Row>(bytes: &[u8; 64], read: &mut usize) {
    let bytes = &bytes[..T::BYTES];
    if let Some(row) = T::read(bytes) {
        let mut written = Vec::new();
        row.write(&mut written);
        assert_eq!(written, bytes);
        *read += 1;
    }
    assert!(T::read(&bytes[..T::BYTES - 1]).is_none());
}

/// Bytes that are often a row: mostly small ones.
fn bytes() -> impl Strategy<Value = [u8; 64]> {
    let byte = prop_oneof![6 => Just(0_u8), 3 => 0..24_u8, 1 => any::<u8>()];
    proptest::collection::vec(byte, 64).prop_map(|bytes| bytes.try_into().unwrap_or([0; 64]))
}

#[test]
fn every_row_has_one_encoding() {
    let mut read = [0; 19];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..20_000 {
        let bytes = bytes().new_tree(&mut runner).unwrap().current();
        let [
            number,
            word,
            range,
            value,
            field,
            tag,
            address,
            instruction,
            policy,
            program,
            kind,
            shape,
            attribute,
            terms,
            action,
            literal,
            facts,
            entity,
            all,
        ] = &mut read;
        is_one_encoding::<u32>(&bytes, number);
        is_one_encoding::<u64>(&bytes, word);
        is_one_encoding::<Range>(&bytes, range);
        is_one_encoding::<Value>(&bytes, value);
        is_one_encoding::<Field>(&bytes, field);
        is_one_encoding::<Tag>(&bytes, tag);
        is_one_encoding::<Address>(&bytes, address);
        is_one_encoding::<Instruction>(&bytes, instruction);
        is_one_encoding::<PolicyRow>(&bytes, policy);
        is_one_encoding::<ProgramRow>(&bytes, program);
        is_one_encoding::<TypeRow>(&bytes, kind);
        is_one_encoding::<Shape>(&bytes, shape);
        is_one_encoding::<Attribute>(&bytes, attribute);
        is_one_encoding::<Terms>(&bytes, terms);
        is_one_encoding::<ActionRow>(&bytes, action);
        is_one_encoding::<Literal>(&bytes, literal);
        is_one_encoding::<FactNames>(&bytes, facts);
        is_one_encoding::<EntityRow>(&bytes, entity);
        *all += 1;
    }
    assert!(read.iter().all(|count| *count > 0), "{read:?}");
}

#[test]
fn what_nothing_writes_is_no_row() {
    let no_value = [[0_u64, 2], [1 << 8, 0], [5, 1 << 32], [6 | 4 << 8, 0], [10, 1], [11, 0]];
    for words in no_value {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(Value::read(&bytes).is_none(), "{words:?}");
    }
    let binary = |operator, then: u16| {
        let [e, f] = then.to_le_bytes();
        [code::BINARY, operator, 0, 0, 0, 0, e, f]
    };
    assert!(Instruction::read(&binary(22, 0)).is_some() && Instruction::read(&binary(23, 0)).is_none());
    assert!(Instruction::read(&binary(0, 5 << 13)).is_none());
    assert!(Instruction::read(&[code::FAIL, 0, 0, 0, 1, 0, 0, 0]).is_none());
    assert!(Instruction::read(&[21, 0, 0, 0, 0, 0, 0, 0]).is_none());
}
