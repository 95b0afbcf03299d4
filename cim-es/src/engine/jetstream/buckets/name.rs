//! Names of any text as tokens of a bucket's keys.

use std::fmt::Write;

/// A token that a bucket takes for any text: ASCII letters, digits, `-` and `_` stand for themselves, every other byte is
/// `=` and two hex digits, and nothing is `=`. Different texts have different tokens.
pub(crate) fn token(text: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            token.push(char::from(byte));
        } else {
            let _ = write!(token, "={byte:02X}");
        }
    }
    token
}

/// The text of a token; none when [`token`] does not make it.
pub(crate) fn text(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = if token == "=" { "" } else { token };
    while let Some(first) = rest.bytes().next() {
        if first == b'=' {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = &rest[3..];
        } else {
            bytes.push(first);
            rest = rest.get(1..)?;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_token_of_its_own() {
        for (plain, expected) in [
            ("reader-1_A", "reader-1_A"),
            ("another reader", "another=20reader"),
            ("a.b=c", "a=2Eb=3Dc"),
            ("", "="),
            ("ß", "=C3=9F"),
        ] {
            assert_eq!(token(plain), expected);
            assert_eq!(text(expected).as_deref(), Some(plain));
        }
        for broken in ["a=", "a=2", "a=ZZ", "=FF"] {
            assert_eq!(text(broken), None, "{broken}");
        }
    }
}
