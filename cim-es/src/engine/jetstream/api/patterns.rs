//! What patterns of subjects have in common.

use crate::domain::subject::Subjects;

/// As few patterns as say the same, none of which shares a subject with another: consumers refuse others. Where
/// that is not possible, one that is wider.
pub(crate) fn distinct(subjects: &Subjects) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for pattern in subjects.patterns() {
        if distinct.iter().any(|other| covers(other, pattern)) {
            continue;
        }
        distinct.retain(|other| !covers(pattern, other));
        distinct.push(pattern.to_owned());
    }
    let is_shared = |(at, pattern): (usize, &String)| {
        let mut others = distinct[at + 1..].iter();
        others.any(|other| overlap(pattern, other))
    };
    if distinct.iter().enumerate().any(is_shared) {
        return vec![">".to_owned()];
    }
    distinct
}

/// Whether every subject that matches the narrow pattern matches the wide one.
fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Whether a subject can match both patterns.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(x), Some(y)) if x == y || x == "*" || y == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_patterns_of_a_consumer_share_a_subject() {
        let distinct = |patterns: &[&'static str]| {
            let subjects: Subjects = patterns.iter().copied().collect();
            super::distinct(&subjects)
        };
        assert_eq!(distinct(&["a.b", "a.>", "c.d"]), ["a.>", "c.d"]);
        assert_eq!(distinct(&["a.*", "a.b", "a.*"]), ["a.*"]);
        assert_eq!(distinct(&["a.*.c", "a.b.*"]), [">"]);
        assert_eq!(distinct(&["a.*", "a.b.c"]), ["a.*", "a.b.c"]);
    }
}
