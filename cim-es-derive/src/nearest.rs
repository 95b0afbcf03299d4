//! The name that was probably meant.
//!
//! The derives and the checks of constants suggest by one rule: this file is the same in both crates, which a test says.

/// The name at the least edit distance, if that is at most a third of the name's length.
pub(crate) const fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = if name.len() < 3 { 1 } else { name.len() / 3 };
    let mut best = None;
    let mut best_distance = limit + 1;
    let mut at = 0;
    while at < known.len() {
        let distance = distance(name, known[at]);
        if distance < best_distance {
            best = Some(known[at]);
            best_distance = distance;
        }
        at += 1;
    }
    best
}

/// Names longer than this are not compared: no suggestion is made for them.
const LONGEST: usize = 128;

/// How many bytes have to be added, dropped, changed or swapped with their neighbour; a letter in the other case is no
/// change.
const fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() >= LONGEST || b.len() >= LONGEST {
        return usize::MAX;
    }
    let (mut last, mut row) = ([0; LONGEST], [0; LONGEST]);
    let mut j = 0;
    while j <= b.len() {
        row[j] = j;
        j += 1;
    }
    let mut i = 1;
    while i <= a.len() {
        let before = last;
        last = row;
        row[0] = i;
        let mut j = 1;
        while j <= b.len() {
            let change = last[j - 1]
                + if same_letter(a[i - 1], b[j - 1]) {
                    0
                } else {
                    1
                };
            row[j] = least(change, least(last[j], row[j - 1]) + 1);
            if i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1])
            {
                row[j] = least(row[j], before[j - 2] + 1);
            }
            j += 1;
        }
        i += 1;
    }
    row[b.len()]
}

const fn same_letter(a: u8, b: u8) -> bool {
    a.eq_ignore_ascii_case(&b)
}

const fn least(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}
