//! Signed notes ([C2SP](https://c2sp.org/signed-note)): a text, an empty line, and lines of signatures.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ProofError;
use super::key::{VerifyingKey, is_name};

/// A longer text is not looked at, in bytes.
const LONGEST: usize = 1 << 20;
/// More signatures are not looked at.
const MOST_SIGNATURES: usize = 128;
const SIGNATURE_MARK: &str = "\u{2014} ";

/// A line of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoteSignature {
    pub(super) name: String,
    pub(super) id: [u8; 4],
    pub(super) bytes: Vec<u8>,
}

/// A text with its signatures; nothing of it is to be believed before it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignedNote {
    /// With its last newline, without the empty line.
    pub(super) text: String,
    pub(super) signatures: Vec<NoteSignature>,
}

/// What is wrong with a text, and in which line.
pub(super) struct NoteFault {
    pub(super) line: usize,
    pub(super) reason: String,
}

impl NoteFault {
    pub(super) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }

    /// The error where such a thing was expected.
    pub(super) fn of(self, what: &'static str) -> ProofError {
        ProofError::Malformed {
            what,
            line: self.line,
            reason: self.reason,
        }
    }

    /// The same in a text that stands behind so many lines of another.
    pub(super) fn behind(mut self, lines: usize) -> Self {
        self.line += lines;
        self
    }
}

impl SignedNote {
    pub(super) fn parse(note: &str) -> Result<Self, NoteFault> {
        if note.len() > LONGEST {
            return Err(NoteFault::new(
                1,
                format!("it has more than {LONGEST} bytes"),
            ));
        }
        for (line, text) in (1..).zip(note.split('\n')) {
            if text.contains(|it| it < ' ') {
                return Err(NoteFault::new(line, "there is a control character"));
            }
        }
        let last = note.split('\n').count();
        if !note.ends_with('\n') {
            return Err(NoteFault::new(last, "the end of the line is missing"));
        }
        let Some(end) = note.rfind("\n\n") else {
            let reason = "the empty line in front of the signatures is missing";
            return Err(NoteFault::new(last, reason));
        };
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let first = text.matches('\n').count() + 2;
        let lines = signatures.split_terminator('\n');
        let signatures: Vec<_> = (first..)
            .zip(lines)
            .map(|(line, text)| signature(text).map_err(|reason| NoteFault::new(line, reason)))
            .collect::<Result<_, _>>()?;
        match signatures.len() {
            1..=MOST_SIGNATURES => Ok(Self {
                text: text.to_owned(),
                signatures,
            }),
            0 => Err(NoteFault::new(first, "there is no signature")),
            more => Err(NoteFault::new(
                first,
                format!("there are {more} signatures, {MOST_SIGNATURES} are looked at"),
            )),
        }
    }

    /// The signatures under the name and the id of a key.
    pub(super) fn signatures_of(&self, key: &VerifyingKey) -> impl Iterator<Item = &NoteSignature> {
        let id = key.id();
        self.signatures
            .iter()
            .filter(move |it| it.name == key.name() && it.id == id)
    }
}

/// A line of a signature: `— <key name> base64(key id || signature)`.
fn signature(line: &str) -> Result<NoteSignature, &'static str> {
    let line = line
        .strip_prefix(SIGNATURE_MARK)
        .ok_or("a signature begins with an em dash and a space")?;
    let (name, signature) = line
        .split_once(' ')
        .ok_or("a signature is the name of a key, a space, and base64")?;
    if !is_name(name) {
        return Err("the name of the key is not one");
    }
    let bytes = STANDARD
        .decode(signature)
        .map_err(|_| "the signature is not base64")?;
    let (id, bytes) = bytes
        .split_first_chunk::<4>()
        .ok_or("the signature has no key id")?;
    Ok(NoteSignature {
        name: name.to_owned(),
        id: *id,
        bytes: bytes.to_vec(),
    })
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_char('\n')?;
        for signature in &self.signatures {
            let bytes = [&signature.id[..], &signature.bytes].concat();
            let text = STANDARD.encode(bytes);
            writeln!(f, "{SIGNATURE_MARK}{} {text}", signature.name)?;
        }
        Ok(())
    }
}
