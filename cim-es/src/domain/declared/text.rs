//! Texts at compile time: comparing, and writing a message.

use super::nearest::nearest;

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
