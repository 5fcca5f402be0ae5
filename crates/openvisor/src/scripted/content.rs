//! Payloads and bodies in a script: as text, as hexadecimal digits, or as JSON.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::values::Pattern;

/// Bytes as hexadecimal digits, with or without spaces, such as `01 ff`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits: String = text.split_ascii_whitespace().collect();
        let is_valid = digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        let bytes = is_valid.then(|| (0..digits.len()).step_by(2).filter_map(byte).collect());
        bytes
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not pairs of hexadecimal digits, such as \"01 ff\""))
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(index, byte)| write!(f, "{}{byte:02x}", if index == 0 { "" } else { " " }))
    }
}

/// The bytes that a table says in one of these three ways; `what` is the name of the first.
pub(super) fn bytes(
    what: &str,
    text: Option<&str>,
    hex: Option<&Hex>,
    json: Option<&Value>,
) -> Result<Vec<u8>, String> {
    match (text, hex, json) {
        (None, None, None) => Ok(Vec::new()),
        (Some(text), None, None) => Ok(text.as_bytes().to_vec()),
        (None, Some(hex), None) => Ok(hex.0.clone()),
        (None, None, Some(json)) => Ok(json.to_string().into_bytes()),
        _ => Err(format!("{what}, hex and json are three ways to say the same: use one of them")),
    }
}

/// What a payload or a body is expected to be; all of it has to hold.
pub(super) struct Expected<'a> {
    /// This is in it.
    pub(super) pattern: Option<&'a Pattern>,
    /// It is this text.
    pub(super) text: Option<&'a str>,
    /// It is these bytes.
    pub(super) hex: Option<&'a Hex>,
    /// It is JSON that has at least this.
    pub(super) json: Option<&'a Value>,
}

impl Expected<'_> {
    pub(super) fn is_met_by(&self, bytes: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| pattern.is_in(&String::from_utf8_lossy(bytes)))
            && self.text.is_none_or(|text| text.as_bytes() == bytes)
            && self.hex.is_none_or(|hex| hex.0 == bytes)
            && self.json.is_none_or(|json| serde_json::from_slice(bytes).is_ok_and(|all| is_part(json, &all)))
    }
}

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.iter().try_for_each(|pattern| write!(f, " with {pattern}"))?;
        self.text.iter().try_for_each(|text| write!(f, " that is {text:?}"))?;
        self.hex.iter().try_for_each(|hex| write!(f, " that is the bytes {hex}"))?;
        self.json.iter().try_for_each(|json| write!(f, " with the JSON {json}"))
    }
}

/// Whether `all` has everything that `part` has: of an object at least these fields, of an array these elements.
fn is_part(part: &Value, all: &Value) -> bool {
    match (part, all) {
        (Value::Object(part), Value::Object(all)) => {
            part.iter().all(|(name, part)| all.get(name).is_some_and(|all| is_part(part, all)))
        }
        (Value::Array(part), Value::Array(all)) => {
            part.len() == all.len() && part.iter().zip(all).all(|(part, all)| is_part(part, all))
        }
        // 21 and 21.0 are the same number.
        (Value::Number(part), Value::Number(all)) => part == all || part.as_f64() == all.as_f64(),
        (part, all) => part == all,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Shows D346.
    #[test]
    fn json_is_expected_in_part() {
        let all = json!({ "t": 21.0, "at": { "x": [1, { "y": null, "z": 3 }] }, "on": true });
        for part in [json!({}), json!({ "t": 21 }), json!({ "at": { "x": [1, { "z": 3 }] } }), all.clone()] {
            assert!(is_part(&part, &all), "{part}");
        }
        for other in [json!({ "t": 22 }), json!({ "u": 1 }), json!({ "at": { "x": [1] } }), json!([])] {
            assert!(!is_part(&other, &all), "{other}");
        }
    }

    /// Shows D346.
    #[test]
    fn bytes_are_said_in_one_way() {
        let hex = Hex::try_from("01 fF 7f".to_owned()).expect("digits");
        assert_eq!(bytes("payload", None, Some(&hex), None), Ok(vec![1, 0xff, 0x7f]));
        assert_eq!(hex.to_string(), "01 ff 7f");
        assert!(bytes("payload", Some("x"), Some(&hex), None).is_err());
        assert!(Hex::try_from("0".to_owned()).is_err() && Hex::try_from("+1".to_owned()).is_err());
    }
}
