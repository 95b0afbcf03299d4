//! Texts at compile time: comparing, and writing a message.

/// Whether two texts are the same. Subjects begin alike, so it looks from the end.
pub(super) const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut left = a.len();
    while left > 0 {
        left -= 1;
        if a[left] != b[left] {
            return false;
        }
    }
    true
}

/// The place of a text among others.
pub(super) const fn position(texts: &[&str], text: &str) -> Option<usize> {
    let mut at = 0;
    while at < texts.len() {
        if equal(texts[at], text) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// How many bytes a message can have; what is longer is cut.
const CAPACITY: usize = 1024;

/// How many names a message lists.
const MOST_LISTED: usize = 8;

/// A message that is put together at compile time.
pub(super) struct Message {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Message {
    pub(super) const fn new(text: &str) -> Self {
        let empty = Self {
            bytes: [0; CAPACITY],
            length: 0,
        };
        empty.text(text)
    }

    /// Adds a text, or nothing when it does not fit.
    pub(super) const fn text(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if text.len() > CAPACITY - self.length {
            return self;
        }
        let mut at = 0;
        while at < text.len() {
            self.bytes[self.length + at] = text[at];
            at += 1;
        }
        self.length += text.len();
        self
    }

    /// Adds the nearest of the known names, or else all of them as `what`.
    pub(super) const fn suggestion(self, name: &str, known: &[&str], what: &str) -> Self {
        match nearest(name, known) {
            Some(near) => self.text("; did you mean `").text(near).text("`?"),
            None if known.is_empty() => self,
            None => self.text("; ").text(what).text(" ").listed(known),
        }
    }

    /// Adds names in backquotes, the first ones of many.
    pub(super) const fn listed(mut self, names: &[&str]) -> Self {
        let mut at = 0;
        while at < names.len() {
            if at == MOST_LISTED {
                return self.text(", …");
            }
            if at > 0 {
                self = self.text(", ");
            }
            self = self.text("`").text(names[at]).text("`");
            at += 1;
        }
        self
    }

    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_suggests_what_is_near_and_lists_what_is_not() {
        let known = ["registered", "updated"];
        let near = Message::new("no `registred`").suggestion("registred", &known, "there are");
        assert_eq!(near.as_str(), "no `registred`; did you mean `registered`?");
        let far = Message::new("no `x`").suggestion("x", &known, "there are");
        assert_eq!(far.as_str(), "no `x`; there are `registered`, `updated`");
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_and_stays_a_text() {
        let long = "é".repeat(CAPACITY);
        assert_eq!(Message::new("start").text(&long).as_str(), "start");
    }
}
