//! The cards of a file as unfolded lines (RFC 6350, section 3.2), each with its number in the file.

use super::BadCard;

/// What is wrong with a line that says nothing.
pub const NO_PROPERTY: &str = "this is no property: a name, a colon and a value";

/// The lines of one card, from behind its BEGIN to before its END.
pub struct Lines {
    /// The line of BEGIN.
    pub start: usize,
    lines: Vec<Unfolded>,
}

/// An unfolded line with the number of its first part.
type Unfolded = (usize, Vec<u8>);

/// Every card of a file, and what stands where no card is.
///
/// Bytes are unfolded before they are read as UTF-8, since some programs fold within a character.
pub fn cards(file: &[u8]) -> Vec<Result<Lines, BadCard>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Vec<Unfolded>)> = None;
    let mut is_astray = false;
    for (number, line) in unfolded(file) {
        let is = |what: &str| is(&line, what);
        if is("BEGIN:VCARD") {
            if let Some((start, _)) = open.replace((number, Vec::new())) {
                found.push(Err(unfinished(start)));
            }
            is_astray = false;
        } else if is("END:VCARD") {
            match open.take() {
                Some((start, lines)) => found.push(Ok(Lines { start, lines })),
                None => found.push(Err(astray(number))),
            }
        } else if let Some((_, lines)) = &mut open {
            if !is("") {
                lines.push((number, line));
            }
        } else if !is("") && !is_astray {
            is_astray = true;
            found.push(Err(astray(number)));
        }
    }
    if let Some((start, _)) = open {
        found.push(Err(unfinished(start)));
    }
    found
}

impl Lines {
    /// The values of the lines with a name, with the numbers of these lines.
    pub fn values(&self, name: &str) -> Vec<(usize, String)> {
        let value = |(number, line): &Unfolded| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let is_it = line[..colon].eq_ignore_ascii_case(name.as_bytes());
            let value = String::from_utf8_lossy(line[colon + 1..].trim_ascii());
            is_it.then(|| (*number, value.into_owned()))
        };
        self.lines.iter().filter_map(value).collect()
    }

    /// The lines with the numbers of their first parts, each with a name, a colon and a value.
    ///
    /// # Errors
    /// [`BadCard`] for another line, and for one that is not in UTF-8.
    pub fn properties(self) -> Result<Vec<(usize, String)>, BadCard> {
        let property = |(number, mut line): Unfolded| {
            // The card ends where it was to go on.
            if goes_on(&line) {
                line.pop();
            }
            match String::from_utf8(line) {
                Ok(line) if has_a_value(&line) => Ok((number, line)),
                Ok(_) => Err(BadCard::new(number, NO_PROPERTY)),
                Err(_) => {
                    let reason = "this is no UTF-8: save the file as UTF-8";
                    Err(BadCard::new(number, reason))
                }
            }
        };
        self.lines.into_iter().map(property).collect()
    }
}

fn unfinished(start: usize) -> BadCard {
    BadCard::new(start, "the card that begins here has no END:VCARD")
}

fn astray(number: usize) -> BadCard {
    BadCard::new(number, "this is in no card: a card begins with BEGIN:VCARD")
}

/// The lines of the file with their numbers from 1, those that begin with a space or a tab joined to the one before, as is
/// what goes on after a line in quoted-printable that ends with an equals sign (RFC 2045, section 6.7).
fn unfolded(file: &[u8]) -> Vec<Unfolded> {
    let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let mut lines: Vec<Unfolded> = Vec::new();
    for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line, lines.last_mut()) {
            ([b' ' | b'\t', rest @ ..], Some((_, before))) => before.extend(rest),
            (rest, Some((_, before))) if goes_on(before) && !is_edge(rest) => {
                before.pop();
                before.extend(rest);
            }
            _ => lines.push((index + 1, line.to_owned())),
        }
    }
    lines
}

/// Whether a line is in quoted-printable and goes on in the next one.
fn goes_on(line: &[u8]) -> bool {
    const QUOTED: &[u8] = b"QUOTED-PRINTABLE";
    let parameters = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let mut places = parameters.windows(QUOTED.len());
    line.ends_with(b"=") && places.any(|place| place.eq_ignore_ascii_case(QUOTED))
}

/// Whether a line begins or ends a card.
fn is_edge(line: &[u8]) -> bool {
    is(line, "BEGIN:VCARD") || is(line, "END:VCARD")
}

fn is(line: &[u8], what: &str) -> bool {
    line.trim_ascii().eq_ignore_ascii_case(what.as_bytes())
}

/// Whether a line has a name of letters, digits, hyphens and dots, and a colon somewhere behind it.
fn has_a_value(line: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let rest = line.trim_start_matches(is_name);
    rest.len() < line.len() && rest.starts_with([':', ';']) && rest.contains(':')
}
