//! RFC 8785: one text for one JSON value, so that a fingerprint over it means something.
//!
//! Of the values that events have: texts, booleans, whole numbers that every reader can hold, lists, and objects whose names
//! are ASCII. [`number`] makes a text of any other number.

use std::fmt::Write as _;

use serde_json::Value;

/// The greatest whole number that every reader of JSON holds exactly (RFC 8785 section 3.2.2.3).
const MAX_EXACT: u64 = (1 << 53) - 1;

/// The number, or its digits as a text where a reader might round it.
pub(super) fn number(value: impl Into<i128>) -> Value {
    let value: i128 = value.into();
    match i64::try_from(value) {
        Ok(exact) if exact.unsigned_abs() <= MAX_EXACT => exact.into(),
        Ok(_) | Err(_) => value.to_string().into(),
    }
}

/// Every number in the value as [`number`] gives it, and nothing that is null.
pub(super) fn exact(value: Value) -> Value {
    match value {
        Value::Number(of) => match (of.as_u64(), of.as_i64()) {
            (Some(value), _) => number(value),
            (None, Some(value)) => number(value),
            (None, None) => of.to_string().into(),
        },
        Value::Array(values) => values.into_iter().map(exact).collect(),
        Value::Object(fields) => {
            let present = fields.into_iter().filter(|(_, value)| !value.is_null());
            present.map(|(name, value)| (name, exact(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// The canonical text.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::with_capacity(2048);
    append(value, &mut out);
    out
}

fn append(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (position, (name, value)) in sorted.into_iter().enumerate() {
                out.push_str(if position == 0 { "" } else { "," });
                append(&Value::from(name.as_str()), out);
                out.push(':');
                append(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (position, value) in values.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { "," });
                append(value, out);
            }
            out.push(']');
        }
        // serde_json escapes what RFC 8785 escapes, in its way, and nothing else.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_one_of_rfc_8785() {
        let value =
            serde_json::json!({"b": [true, 1, "\u{20ac}$\u{f}\nA'B\"\\\"/"], "a": {}, "_": [], "A": -5});
        let expected = "{\"A\":-5,\"_\":[],\"a\":{},\"b\":[true,1,\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\"/\"]}";
        assert_eq!(text(&value), expected);
    }

    #[test]
    fn numbers_that_a_reader_might_round_are_texts() {
        assert_eq!(number(MAX_EXACT), Value::from(MAX_EXACT));
        assert_eq!(number(MAX_EXACT + 1), Value::from("9007199254740992"));
        assert_eq!(number(i64::MIN), Value::from("-9223372036854775808"));
        let value = serde_json::json!({"a": u64::MAX, "b": null, "c": [1]});
        assert_eq!(exact(value), serde_json::json!({"a": "18446744073709551615", "c": [1]}));
    }
}
