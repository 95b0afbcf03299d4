//! The cards of a file as unfolded lines (RFC 6350, section 3.2), each with its number in the file.

use super::BadCard;

/// The lines of one card, from behind its BEGIN to before its END.
pub struct Lines {
    /// The line of BEGIN.
    pub start: usize,
    /// The unfolded lines with the numbers of their first parts.
    pub lines: Vec<(usize, String)>,
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
        let is = |what: &str| line.trim_ascii().eq_ignore_ascii_case(what.as_bytes());
        if is("BEGIN:VCARD") {
            if let Some((start, _)) = open.replace((number, Vec::new())) {
                found.push(Err(unfinished(start)));
            }
            is_astray = false;
        } else if is("END:VCARD") {
            match open.take() {
                Some((start, lines)) => found.push(text(start, lines)),
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

fn unfinished(start: usize) -> BadCard {
    BadCard::new(start, "the card that begins here has no END:VCARD")
}

fn astray(number: usize) -> BadCard {
    BadCard::new(number, "this is in no card: a card begins with BEGIN:VCARD")
}

/// The lines of the file with their numbers from 1, those that begin with a space or a tab joined to the one before.
fn unfolded(file: &[u8]) -> Vec<Unfolded> {
    let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let mut lines: Vec<Unfolded> = Vec::new();
    for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line, lines.last_mut()) {
            ([b' ' | b'\t', rest @ ..], Some((_, before))) => before.extend(rest),
            _ => lines.push((index + 1, line.to_owned())),
        }
    }
    lines
}

fn text(start: usize, lines: Vec<Unfolded>) -> Result<Lines, BadCard> {
    let line = |(number, line): Unfolded| match String::from_utf8(line) {
        Ok(line) if has_a_value(&line) => Ok((number, line)),
        Ok(_) => {
            let reason = "this is no property: a name, a colon and a value";
            Err(BadCard::new(number, reason))
        }
        Err(_) => Err(BadCard::new(
            number,
            "this is no UTF-8: save the file as UTF-8",
        )),
    };
    let lines: Result<_, _> = lines.into_iter().map(line).collect();
    Ok(Lines {
        start,
        lines: lines?,
    })
}

/// Whether a line has a name of letters, digits, hyphens and dots, and a colon somewhere behind it.
fn has_a_value(line: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let rest = line.trim_start_matches(is_name);
    rest.len() < line.len() && rest.starts_with([':', ';']) && rest.contains(':')
}
