//! Patterns of subjects: the rules of NATS, in one place.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::Token;
use super::token::{has_length, misfit};

/// A pattern of subjects: tokens joined by `.`, where `*` stands for any one token and a last `>` for all the rest, one
/// token at least.
///
/// The rules are those of the [NATS documentation](https://docs.nats.io/nats-concepts/subjects). The functions that
/// derives and macros need at compile time are const.
///
/// ```
/// use cim_es::subject::Pattern;
///
/// let pattern: Pattern = "infrastructure.*.registered".parse()?;
/// assert!(pattern.matches("infrastructure.compute.registered"));
/// assert!(Pattern::ALL.covers(&pattern));
/// assert!(pattern.overlaps(&"infrastructure.compute.>".parse()?));
/// assert!("infrastructure.>.registered".parse::<Pattern>().is_err());
/// # Ok::<(), cim_es::subject::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Cow<'static, str>);

/// A text that is not a pattern of subjects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a filter of subjects: {reason}")]
pub struct PatternError {
    /// The text.
    pub pattern: String,
    /// What is wrong with it and what to do.
    pub reason: String,
}

impl Pattern {
    /// Every subject.
    pub const ALL: Self = Self(Cow::Borrowed(">"));

    /// A pattern from a text.
    ///
    /// # Errors
    /// [`PatternError`] says which rule the text breaks.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, PatternError> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text)),
            Some(fault) => Err(PatternError {
                reason: reason(&text, fault),
                pattern: text.into_owned(),
            }),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one subject, without a wildcard.
    pub fn is_literal(&self) -> bool {
        is_literal(&self.0)
    }

    /// Whether a subject matches.
    pub fn matches(&self, subject: &str) -> bool {
        matches(&self.0, subject)
    }

    /// Whether every subject that matches the other one matches this one.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }

    /// Whether some subject matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlaps(&self.0, &other.0)
    }

    /// Whether a text is a pattern, as [`new`](Self::new) finds it.
    pub const fn is_valid(text: &str) -> bool {
        fault(text).is_none()
    }

    /// As few patterns as say the same, none of which shares a subject with another, as consumers of JetStream demand.
    /// Where that is not possible, one that is wider.
    pub fn distinct(patterns: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut distinct: Vec<Self> = Vec::new();
        for pattern in patterns {
            if distinct.iter().any(|other| other.covers(&pattern)) {
                continue;
            }
            distinct.retain(|other| !pattern.covers(other));
            distinct.push(pattern);
        }
        let is_shared = |(at, pattern): (usize, &Self)| {
            let mut others = distinct[at + 1..].iter();
            others.any(|other| pattern.overlaps(other))
        };
        if distinct.iter().enumerate().any(is_shared) {
            return vec![Self::ALL];
        }
        distinct
    }
}

/// Which rule a text breaks as a pattern.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Tokens follow `>`.
    GoesOn,
    /// What stands between two places is not a token.
    Token { from: usize, to: usize, why: Unfit },
}

/// Why a part of a text is not a token.
#[derive(Clone, Copy)]
pub(crate) enum Unfit {
    Empty,
    TooLong,
    /// It has `*` or `>` among other characters.
    Wildcard,
    /// It has a character that no subject holds.
    Character,
}

/// The first rule that a text breaks as a pattern: the one rule for filters, wherever they come from, also in constants.
pub(crate) const fn fault(text: &str) -> Option<Fault> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let to = token_end(bytes, from);
        let is_rest = is_token(bytes, from, to, b'>');
        if is_rest && to < bytes.len() {
            return Some(Fault::GoesOn);
        }
        let is_wildcard = is_rest || is_token(bytes, from, to, b'*');
        let why = match misfit(bytes, from, to) {
            _ if is_wildcard => None,
            _ if to == from => Some(Unfit::Empty),
            _ if !has_length(to - from) => Some(Unfit::TooLong),
            Some(at) if matches!(bytes[at], b'*' | b'>') => Some(Unfit::Wildcard),
            Some(_) => Some(Unfit::Character),
            None => None,
        };
        if let Some(why) = why {
            return Some(Fault::Token { from, to, why });
        }
        if to == bytes.len() {
            return None;
        }
        from = to + 1;
    }
}

/// Why a text is not a pattern, and what to do.
fn reason(text: &str, fault: Fault) -> String {
    let token = match fault {
        Fault::GoesOn => return "`>` stands for all the rest: put it last".to_owned(),
        Fault::Token { from, to, .. } => Token::new(&text[from..to]),
    };
    token.map_or_else(|error| error.to_string(), |_| String::new())
}

/// Whether a text is one subject: tokens with dots between.
pub(crate) const fn is_subject(text: &str) -> bool {
    fault(text).is_none() && !has_wildcard(text)
}

/// Whether one of the tokens is a wildcard.
const fn has_wildcard(text: &str) -> bool {
    let text = text.as_bytes();
    let mut from = 0;
    loop {
        let to = token_end(text, from);
        if is_token(text, from, to, b'*') || is_token(text, from, to, b'>') {
            return true;
        }
        if to == text.len() {
            return false;
        }
        from = to + 1;
    }
}

/// Whether a text has no wildcard among its tokens.
pub(crate) fn is_literal(pattern: &str) -> bool {
    !has_wildcard(pattern)
}

/// Whether a subject matches a pattern with `*` and `>`.
pub const fn matches(pattern: &str, subject: &str) -> bool {
    let (pattern, subject) = (pattern.as_bytes(), subject.as_bytes());
    let (mut p, mut s) = (0, 0);
    loop {
        let (pattern_end, subject_end) = (token_end(pattern, p), token_end(subject, s));
        let is_single = pattern_end == p + 1;
        if is_single && pattern[p] == b'>' {
            return pattern_end == pattern.len() && subject_end > s;
        }
        let is_any = is_single && pattern[p] == b'*' && subject_end > s;
        if !is_any && !same(pattern, p, pattern_end, subject, s, subject_end) {
            return false;
        }
        match (pattern_end == pattern.len(), subject_end == subject.len()) {
            (true, true) => return true,
            (false, false) => (p, s) = (pattern_end + 1, subject_end + 1),
            _ => return false,
        }
    }
}

/// Whether every subject that matches the narrow pattern matches the wide one.
pub const fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow) = (wide.as_bytes(), narrow.as_bytes());
    let (mut w, mut n) = (0, 0);
    loop {
        let (wide_end, narrow_end) = (token_end(wide, w), token_end(narrow, n));
        if is_token(wide, w, wide_end, b'>') {
            return narrow_end > n;
        }
        if is_token(narrow, n, narrow_end, b'>') {
            return false;
        }
        let is_any = is_token(wide, w, wide_end, b'*') && narrow_end > n;
        if !is_any && !same(wide, w, wide_end, narrow, n, narrow_end) {
            return false;
        }
        match (wide_end == wide.len(), narrow_end == narrow.len()) {
            (true, true) => return true,
            (false, false) => (w, n) = (wide_end + 1, narrow_end + 1),
            _ => return false,
        }
    }
}

/// Whether a subject can match both patterns.
pub const fn overlaps(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let (mut a, mut b) = (0, 0);
    loop {
        let (a_end, b_end) = (token_end(one, a), token_end(other, b));
        if is_token(one, a, a_end, b'>') || is_token(other, b, b_end, b'>') {
            return a_end > a && b_end > b;
        }
        let is_any = is_token(one, a, a_end, b'*') || is_token(other, b, b_end, b'*');
        if !is_any && !same(one, a, a_end, other, b, b_end) {
            return false;
        }
        match (a_end == one.len(), b_end == other.len()) {
            (true, true) => return true,
            (false, false) => (a, b) = (a_end + 1, b_end + 1),
            _ => return false,
        }
    }
}

const fn token_end(text: &[u8], from: usize) -> usize {
    let mut end = from;
    while end < text.len() && text[end] != b'.' {
        end += 1;
    }
    end
}

const fn is_token(text: &[u8], from: usize, end: usize, byte: u8) -> bool {
    end == from + 1 && text[from] == byte
}

const fn same(a: &[u8], a_from: usize, a_to: usize, b: &[u8], b_from: usize, b_to: usize) -> bool {
    if a_to - a_from != b_to - b_from {
        return false;
    }
    let mut at = 0;
    while at < a_to - a_from {
        if a[a_from + at] != b[b_from + at] {
            return false;
        }
        at += 1;
    }
    true
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text.to_owned())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_token_and_an_arrow_is_the_rest() {
        for (pattern, subject, expected) in [
            ("a.b.c", "a.b.c", true),
            ("a.b.c", "a.b.d", false),
            ("a.b.c", "a.b", false),
            ("a.b", "a.b.c", false),
            ("a.*.c", "a.b.c", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*", "a", true),
            (">", "a.b", true),
            ("a.*", "a.", false),
            ("", "", true),
            ("ab.c", "a.bc", false),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn patterns_that_no_subject_matches_are_refused() {
        for good in ["a.b", "a.*.c", "a.>", ">", "*", "*.>", "ä.b"] {
            assert!(Pattern::new(good).is_ok(), "{good}");
            assert!(Pattern::is_valid(good), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "",
            "a..b",
            "a.>.b",
            "a b",
            "a.b*",
            ".a",
            "a.",
            "a.>>",
            "a.**",
            "a\t.b",
            "a.\u{2003}",
            "a.\u{85}",
            &long,
        ] {
            let refused = Pattern::new(bad.to_owned()).unwrap_err();
            assert!(!refused.reason.is_empty(), "{bad}");
            assert!(!Pattern::is_valid(bad), "{bad}");
            assert!(!is_subject(bad), "{bad}");
        }
        assert!(is_subject("a.b") && is_subject("ä"));
        assert!(!is_subject("a.*") && !is_subject(">"));
    }

    /// Over all patterns of up to three tokens out of a small set, against all subjects that these can tell apart.
    #[test]
    fn covering_and_overlapping_are_what_the_matches_say() {
        let lengthen = |texts: &[String], tokens: &[&str]| -> Vec<String> {
            let longer = |text: &String| {
                let text = text.clone();
                tokens.iter().map(move |token| format!("{text}.{token}"))
            };
            texts.iter().flat_map(longer).collect()
        };
        let texts = |tokens: &[&str], longest: usize| {
            let mut all: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
            let mut last = all.clone();
            for _ in 1..longest {
                last = lengthen(&last, tokens);
                all.extend(last.iter().cloned());
            }
            all
        };
        let subjects = texts(&["a", "b", "c"], 4);
        let patterns: Vec<_> = texts(&["a", "b", "*", ">"], 3)
            .into_iter()
            .filter_map(|text| Pattern::new(text).ok())
            .collect();
        assert!(patterns.len() > 40);
        for one in &patterns {
            for other in &patterns {
                let matched = |pattern: &Pattern, subject: &String| pattern.matches(subject);
                let is_covered = subjects
                    .iter()
                    .all(|subject| !matched(other, subject) || matched(one, subject));
                let is_shared = subjects
                    .iter()
                    .any(|subject| matched(other, subject) && matched(one, subject));
                assert_eq!(one.covers(other), is_covered, "{one} covers {other}");
                assert_eq!(one.overlaps(other), is_shared, "{one} overlaps {other}");
            }
        }
    }

    #[test]
    fn no_two_patterns_of_a_consumer_share_a_subject() {
        let distinct = |patterns: &[&'static str]| {
            let patterns = patterns
                .iter()
                .map(|pattern| Pattern::new(*pattern).unwrap());
            let distinct = Pattern::distinct(patterns);
            distinct.iter().map(Pattern::to_string).collect::<Vec<_>>()
        };
        assert_eq!(distinct(&["a.b", "a.>", "c.d"]), ["a.>", "c.d"]);
        assert_eq!(distinct(&["a.*", "a.b", "a.*"]), ["a.*"]);
        assert_eq!(distinct(&["a.*.c", "a.b.*"]), [">"]);
        assert_eq!(distinct(&["a.*", "a.b.c"]), ["a.*", "a.b.c"]);
    }
}
