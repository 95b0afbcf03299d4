//! Texts that are signed as checkpoints are, and are none.

use super::note::{NoteSignature, SignedNote};
use super::{KeyUse, SigningKey, Trust};

/// The signed note of a text of whole lines.
pub(crate) fn sign_text(key: &SigningKey, text: &str) -> String {
    let signature = NoteSignature {
        name: key.name().to_owned(),
        id: key.verifying_key().id(),
        bytes: key.sign(text.as_bytes()).to_vec(),
    };
    let note = SignedNote {
        text: text.to_owned(),
        signatures: vec![signature],
    };
    note.to_string()
}

/// The name of a trusted key, not that of a witness, that signed a text; else what is wrong with the note.
pub(crate) fn check_text(trust: &Trust, text: &str, note: &str) -> Result<String, String> {
    let note = SignedNote::parse(note).map_err(|fault| {
        format!(
            "its note is not one: in line {}, {}",
            fault.line, fault.reason
        )
    })?;
    if note.text != text {
        return Err("it is the signature of something else".to_owned());
    }
    for key in trust.keys().iter().filter(|it| it.usage() == KeyUse::Log) {
        if let Some(signature) = note.signatures_of(key).next() {
            return match key.verifies(text.as_bytes(), &signature.bytes) {
                true => Ok(key.name().to_owned()),
                false => Err(format!("that of `{}` does not fit", key.name())),
            };
        }
    }
    Err("it is of no key that is trusted".to_owned())
}
