//! What the code written by the derives calls; nothing here is for use by hand.
#![allow(
    missing_docs,
    reason = "not public: only code written by the derives names it"
)]

/// Whether a subject matches a pattern with `*` and `>`.
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for part in pattern.split('.') {
        match (part, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (literal, Some(token)) if literal == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}
