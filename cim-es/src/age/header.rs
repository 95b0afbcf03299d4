//! What stands in front of the encrypted bytes: the key of the file, wrapped for each recipient, and a code over all of it.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::wrap::{self, Wrapped};
use super::{AgeError, AgeFault, FileKey, Identity, Recipient, random};

const BEGIN: &[u8] = b"age-encryption.org/";
const VERSION: &[u8] = b"v1";
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE";
const X25519: &str = "X25519";
/// How long a header may be in bytes, so that one that lies does not fill the memory.
const LONGEST: u64 = 1024 * 1024;
/// How many recipients a header that is no longer has room for: each takes less than 128 bytes.
const MOST: usize = 8 * 1024 - 1;
/// How long a line of base64 is; a shorter one is the last.
const LINE: usize = 64;

/// The header of a file.
pub(super) fn write(file_key: &FileKey, recipients: &[Recipient]) -> Result<Vec<u8>, AgeError> {
    match recipients.len() {
        0 => return Err(AgeError::NoRecipient),
        1..=MOST => {}
        given => return Err(AgeError::TooManyRecipients { given, most: MOST }),
    }
    let mut header = [BEGIN, VERSION, b"\n"].concat();
    for recipient in recipients {
        let secret = random().map_err(AgeError::not_random)?;
        let Wrapped { share, key } = wrap::wrap(recipient, file_key, &secret);
        let (share, key) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(key));
        header.extend(format!("-> {X25519} {share}\n{key}\n").bytes());
    }
    header.extend(b"---");
    let code = wrap::mac(&code_key(file_key)[..], &[&header]);
    header.extend(format!(" {}\n", STANDARD_NO_PAD.encode(*code)).bytes());
    Ok(header)
}

fn code_key(file_key: &FileKey) -> zeroize::Zeroizing<[u8; 32]> {
    wrap::derive(&file_key[..], &[], b"header")
}

/// Reads a header, and gives the key of the file to who has an identity of a recipient.
pub(super) fn read(input: &mut impl BufRead, identities: &[Identity]) -> Result<FileKey, AgeError> {
    let mut lines = Lines {
        input,
        read: Vec::new(),
        line: 0,
    };
    begin(lines.next()?)?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut file_key = None;
    loop {
        let line = lines.next()?.to_vec();
        if let Some(code) = line.strip_prefix(b"---") {
            let code = code.strip_prefix(b" ").and_then(exactly);
            let code = code.ok_or(lines.fault("the code at its end is not one"))?;
            let Some(file_key) = file_key else {
                return Err(not_for_us(&kinds, identities.len()).into());
            };
            let covered = &lines.read[..lines.read.len() - line.len() + 2];
            return match wrap::is_mac(&code_key(&file_key)[..], covered, &code) {
                true => Ok(file_key),
                false => Err(AgeFault::HeaderChanged.into()),
            };
        }
        let words = words(&line).ok_or(lines.fault("no recipient stands there"))?;
        let body = lines.body()?;
        *kinds.entry(words[0].clone()).or_default() += 1;
        if words[0] != X25519 {
            continue;
        }
        let share = match &words[1..] {
            [share] => exactly(share.as_bytes()),
            _ => None,
        };
        let (Some(share), Ok(key)) = (share, body.try_into()) else {
            return Err(lines
                .fault("a recipient of the kind X25519 is not one")
                .into());
        };
        let wrapped = Wrapped { share, key };
        file_key = file_key.or_else(|| identities.iter().find_map(|it| wrap::unwrap(it, &wrapped)));
    }
}

fn begin(line: &[u8]) -> Result<(), AgeFault> {
    match line.strip_prefix(BEGIN) {
        Some(VERSION) => Ok(()),
        Some(version) => Err(AgeFault::Version {
            version: String::from_utf8_lossy(&version[..version.len().min(32)]).into_owned(),
        }),
        None if line.starts_with(ARMOR) => Err(AgeFault::Armored),
        None => Err(AgeFault::NotEncrypted),
    }
}

fn not_for_us(kinds: &BTreeMap<String, usize>, identities: usize) -> AgeFault {
    let named = kinds
        .iter()
        .map(|(kind, count)| format!("{count} of the kind {kind}"));
    let recipients = match kinds.len() {
        0 => "nobody".to_owned(),
        _ => format!("recipients: {}", named.collect::<Vec<_>>().join(", ")),
    };
    AgeFault::NotForUs {
        recipients,
        identities,
    }
}

/// The words behind `-> `: the kind of a recipient, and what it needs.
fn words(line: &[u8]) -> Option<Vec<String>> {
    let words = line.strip_prefix(b"-> ")?;
    let is_word = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    let words: Vec<_> = words.split(|it| *it == b' ').collect();
    let text = |word: &&[u8]| String::from_utf8_lossy(word).into_owned();
    words
        .iter()
        .all(is_word)
        .then(|| words.iter().map(text).collect())
}

/// 32 bytes in base64 without padding.
fn exactly(text: &[u8]) -> Option<[u8; 32]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The lines of a header, and all that was read of it.
struct Lines<'a, R> {
    input: &'a mut R,
    read: Vec<u8>,
    line: usize,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line, without its end.
    fn next(&mut self) -> Result<&[u8], AgeError> {
        self.line += 1;
        let start = self.read.len();
        let room = LONGEST - start as u64;
        let mut input = self.input.by_ref().take(room);
        let read = input.read_until(b'\n', &mut self.read);
        read.map_err(|error| AgeError::io("read", error))?;
        match self.read[start..].split_last() {
            Some((b'\n', line)) => Ok(line),
            // What does not begin as it must is said to be something else, however long it is.
            _ if self.line == 1 => {
                begin(&self.read)?;
                Err(self.fault("it ends there").into())
            }
            _ if self.read.len() as u64 == LONGEST => Err(self.fault("it is too long").into()),
            _ => Err(self.fault("it ends there").into()),
        }
    }

    /// The bytes that stand below a recipient, in lines of base64.
    fn body(&mut self) -> Result<Vec<u8>, AgeError> {
        let mut body = Vec::new();
        loop {
            let line = self.next()?;
            let (length, part) = (line.len(), STANDARD_NO_PAD.decode(line));
            match part {
                Ok(part) if length <= LINE => body.extend(part),
                _ => {
                    return Err(self
                        .fault("what stands below a recipient is not base64")
                        .into());
                }
            }
            if length < LINE {
                return Ok(body);
            }
        }
    }

    fn fault(&self, reason: &'static str) -> AgeFault {
        let line = self.line;
        AgeFault::Header { line, reason }
    }
}
