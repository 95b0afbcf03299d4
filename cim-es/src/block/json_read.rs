//! Values read from DAG-JSON.

use ::cid::Cid;
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;

use super::canonical::MAX_DEPTH;

/// How deep lists and maps may nest: an event stands in a map of its own, and bytes are two maps.
const DEPTH: u32 = MAX_DEPTH + 2;
/// The key that DAG-JSON keeps for links and bytes.
const RESERVED: &str = "/";

/// A text that is not DAG-JSON: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not DAG-JSON at byte {at}: {reason}")]
pub struct DagJsonError {
    /// The place in bytes from the start of the text.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

/// The value that a text of DAG-JSON holds. White space between its parts and any order of keys are taken, so that what
/// another program has written is read as well.
///
/// A number with a point or an exponent is a float, any other an integer of up to 64 bits and a sign.
///
/// ```
/// use cim_es::block::{dag_json, parse_dag_json};
///
/// let text = r#"{"big":18446744073709551615,"bytes":{"/":{"bytes":"AQI"}},"float":1.0}"#;
/// assert_eq!(dag_json(&parse_dag_json(text)?)?, text);
/// let error = parse_dag_json(r#"{"a":1,"a":2}"#).unwrap_err();
/// assert_eq!(error.to_string(), "it is not DAG-JSON at byte 7: the key `a` stands twice in its map");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DagJsonError`] for anything else: a key that stands twice, a map with the key `/` that is neither link nor bytes, a
/// number past its bounds, bytes behind the value.
pub fn parse_dag_json(text: &str) -> Result<Ipld, DagJsonError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(DEPTH)?;
    parser.space();
    match parser.at == text.len() {
        true => Ok(value),
        false => Err(parser.refuse("something follows the value")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn refuse(&self, reason: impl Into<String>) -> DagJsonError {
        refuse(self.at, reason)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), DagJsonError> {
        self.space();
        if self.peek() != Some(byte) {
            return Err(self.refuse(what));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Ipld) -> Result<Ipld, DagJsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.refuse("not a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: u32) -> Result<Ipld, DagJsonError> {
        self.space();
        let deeper = || {
            depth
                .checked_sub(1)
                .ok_or_else(|| refuse(self.at, "lists and maps nest too deep"))
        };
        match self.peek() {
            None => Err(self.refuse("it ends where a value must stand")),
            Some(b'n') => self.word("null", Ipld::Null),
            Some(b't') => self.word("true", Ipld::Bool(true)),
            Some(b'f') => self.word("false", Ipld::Bool(false)),
            Some(b'"') => self.string().map(Ipld::String),
            Some(b'[') => {
                let depth = deeper()?;
                self.list(depth)
            }
            Some(b'{') => {
                let depth = deeper()?;
                self.map(depth)
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.refuse("not a value")),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Ipld, DagJsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Ipld::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(Ipld::List(items));
            }
            self.expect(b',', "`,` or `]` must stand here")?;
        }
    }

    fn map(&mut self, depth: u32) -> Result<Ipld, DagJsonError> {
        let start = self.at;
        self.at += 1;
        let mut entries = BTreeMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Ipld::Map(entries));
        }
        loop {
            self.space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.refuse("a key must stand here"));
            }
            let key = self.string()?;
            self.expect(b':', "`:` must stand here")?;
            // What stands under it in a link or bytes is no value of its own.
            let value = self.value(depth)?;
            if entries.contains_key(&key) {
                return Err(refuse(
                    at,
                    format!("the key `{key}` stands twice in its map"),
                ));
            }
            entries.insert(key, value);
            self.space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return reserved(start, entries);
            }
            self.expect(b',', "`,` or `}` must stand here")?;
        }
    }

    fn number(&mut self) -> Result<Ipld, DagJsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits()?;
        if self.at - first > 1 && self.text.as_bytes()[first] == b'0' {
            return Err(refuse(start, "a number with zeros before it"));
        }
        let mut is_float = false;
        if self.peek() == Some(b'.') {
            is_float = true;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_float = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if is_float {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            return number
                .map(Ipld::Float)
                .ok_or_else(|| refuse(start, "a float past the largest one"));
        }
        let bounds = -(1_i128 << 64)..1_i128 << 64;
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number
            .map(Ipld::Integer)
            .ok_or_else(|| refuse(start, "an integer of more than 64 bits and a sign"))
    }

    fn digits(&mut self) -> Result<(), DagJsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(self.refuse("a digit must stand here")),
        }
    }

    fn string(&mut self) -> Result<String, DagJsonError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.at;
            while let Some(byte) = self.peek()
                && !matches!(byte, b'"' | b'\\' | 0..0x20)
            {
                self.at += 1;
            }
            text.push_str(&self.text[plain..self.at]);
            match self.peek() {
                None => return Err(refuse(start, "a text that does not end")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escaped()?),
                Some(_) => return Err(self.refuse("a control character in a text")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, DagJsonError> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(start),
            _ => return Err(refuse(start, "an escape that JSON does not have")),
        })
    }

    /// The character of `\uXXXX`, whose `u` was read; beyond the first 65,536 it takes two of them.
    fn code_point(&mut self, start: usize) -> Result<char, DagJsonError> {
        let first = self.unit(start)?;
        let code = match first {
            0xd800..0xdc00 => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(refuse(start, "half of a character"));
                }
                self.at += 2;
                match self.unit(start)? {
                    second @ 0xdc00..0xe000 => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return Err(refuse(start, "half of a character")),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| refuse(start, "half of a character"))
    }

    fn unit(&mut self, start: usize) -> Result<u32, DagJsonError> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| refuse(start, "`\\u` needs four hexadecimal digits"))
    }
}

fn refuse(at: usize, reason: impl Into<String>) -> DagJsonError {
    DagJsonError {
        at,
        reason: reason.into(),
    }
}

/// A map, or the link or the bytes that it stands for.
fn reserved(at: usize, mut entries: BTreeMap<String, Ipld>) -> Result<Ipld, DagJsonError> {
    let Some(kept) = entries.remove(RESERVED) else {
        return Ok(Ipld::Map(entries));
    };
    let wrong = |reason: &str| refuse(at, format!("a map with the key `/` that is {reason}"));
    if !entries.is_empty() {
        return Err(wrong("neither a link nor bytes: it has more keys"));
    }
    match kept {
        Ipld::String(cid) => Cid::try_from(cid.as_str())
            .map(Ipld::Link)
            .map_err(|error| wrong(&format!("no link: {error}"))),
        Ipld::Map(mut bytes) => match (bytes.remove("bytes"), bytes.is_empty()) {
            (Some(Ipld::String(text)), true) => from_base64(&text)
                .map(Ipld::Bytes)
                .ok_or_else(|| wrong("no bytes: they are not base64 without padding")),
            _ => Err(wrong("neither a link nor bytes")),
        },
        _ => Err(wrong("neither a link nor bytes")),
    }
}

/// The bytes of base64 in the standard alphabet, without padding and without bits left over.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | digit_of(*digit)?;
        }
        match group.len() {
            4 => bytes.extend_from_slice(&bits.to_be_bytes()[1..]),
            3 if bits & 0b11 == 0 => bytes.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
            2 if bits & 0b1111 == 0 => bytes.push((bits >> 4) as u8),
            _ => return None,
        }
    }
    Some(bytes)
}

fn digit_of(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}
