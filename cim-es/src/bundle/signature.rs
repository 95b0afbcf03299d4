//! Who vouches for a bundle: a signed note over the CID of its manifest.
//!
//! The note stands in a block of its own, the second root of the file: the dag-cbor map
//! `{ v: 1, kind: "cim-es/bundle-signature", note }`.

use super::BundleFault;
use crate::block::Cid;
use crate::block::reader::{Reader, Refusal, major, refuse};
#[cfg(feature = "proof")]
use crate::block::writer;
#[cfg(feature = "proof")]
use crate::domain::ErrorChain;

/// Whom an importer trusts.
#[cfg(feature = "proof")]
pub(super) type Trust = crate::proof::Trust;
/// Nobody is trusted without the feature `proof`.
#[cfg(not(feature = "proof"))]
#[derive(Debug)]
pub(super) enum Trust {}

const FORMAT: u64 = 1;
const KIND: &str = "cim-es/bundle-signature";

/// The text that is signed. No checkpoint reads like it: where its size stands, here is a CID.
#[cfg(feature = "proof")]
fn text(manifest: &Cid) -> String {
    format!("cim-es/bundle\n{manifest}\n")
}

/// The block with the signature of a key.
#[cfg(feature = "proof")]
pub(super) fn sign(key: &crate::proof::SigningKey, manifest: &Cid) -> Vec<u8> {
    let note = crate::proof::sign_text(key, &text(manifest));
    let mut block = Vec::with_capacity(256);
    writer::head(&mut block, major::MAP, 3);
    writer::key(&mut block, "v");
    writer::head(&mut block, major::UNSIGNED, FORMAT);
    writer::key(&mut block, "kind");
    writer::text(&mut block, KIND);
    writer::key(&mut block, "note");
    writer::text(&mut block, &note);
    block
}

/// The note in a block.
pub(super) fn decode(block: &[u8]) -> Result<String, BundleFault> {
    let mut reader = Reader::new(block);
    let note = read(&mut reader).map_err(|refusal| malformed(refusal.to_string()))?;
    match reader.rest() {
        [] => Ok(note),
        _ => Err(malformed("bytes follow its map")),
    }
}

fn malformed(reason: impl Into<String>) -> BundleFault {
    BundleFault::Signature {
        reason: reason.into(),
    }
}

fn read(reader: &mut Reader<'_>) -> Result<String, Refusal> {
    const FORM: &str = "not a map of `v`, `kind` and `note`";
    let start = reader.at();
    let wrong = || refuse(start, FORM);
    if reader.expect(major::MAP, FORM)? != 3 || reader.text()? != "v" {
        return Err(wrong());
    }
    let version = reader.expect(major::UNSIGNED, FORM)?;
    if version != FORMAT {
        let reason = format!("it has format {version}, this program knows {FORMAT}");
        return Err(refuse(start, reason));
    }
    if reader.text()? != "kind" || reader.text()? != KIND || reader.text()? != "note" {
        return Err(wrong());
    }
    reader.text().map(str::to_owned)
}

/// The name of a trusted key that signed a manifest.
#[cfg(feature = "proof")]
pub(super) fn check(trust: &Trust, manifest: &Cid, note: &str) -> Result<String, BundleFault> {
    crate::proof::check_text(trust, &text(manifest), note).map_err(malformed)
}

/// Reads the checkpoint that a manifest carries, and asks for the signature of a trusted key where somebody is trusted.
#[cfg(feature = "proof")]
pub(super) fn check_checkpoint(trust: Option<&Trust>, checkpoint: &str) -> Result<(), BundleFault> {
    let refused = |error: crate::proof::ProofError| BundleFault::Checkpoint {
        reason: ErrorChain(&error).to_string(),
    };
    let signed: crate::proof::SignedCheckpoint = checkpoint.parse().map_err(refused)?;
    match trust {
        Some(trust) => signed.verify(trust).map(drop).map_err(refused),
        None => Ok(()),
    }
}

/// What a checkpoint is, is not known without the feature `proof`.
#[cfg(not(feature = "proof"))]
pub(super) fn check_checkpoint(_: Option<&Trust>, _: &str) -> Result<(), BundleFault> {
    Ok(())
}

/// Nobody is trusted.
#[cfg(not(feature = "proof"))]
pub(super) fn check(trust: &Trust, _: &Cid, _: &str) -> Result<String, BundleFault> {
    match *trust {}
}
