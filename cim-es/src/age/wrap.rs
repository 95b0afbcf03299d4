//! The key of a file, wrapped for one recipient, and the keys that follow from it.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use curve25519_dalek::MontgomeryPoint;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{FileKey, Identity, Recipient};

const X25519: &[u8] = b"age-encryption.org/v1/X25519";

/// What stands in a header for one recipient: the share that is made for it, and the wrapped key.
pub(super) struct Wrapped {
    pub(super) share: [u8; 32],
    pub(super) key: [u8; 32],
}

/// Wraps the key of a file; `secret` is random and used once.
pub(super) fn wrap(recipient: &Recipient, file_key: &FileKey, secret: &[u8; 32]) -> Wrapped {
    let share = MontgomeryPoint::mul_base_clamped(*secret).0;
    let shared = Zeroizing::new(recipient.0.mul_clamped(*secret).0);
    let cipher = cipher(&shared, &share, &recipient.0.0);
    let mut key = [0; 32];
    key[..16].copy_from_slice(&file_key[..]);
    let (text, tag) = key.split_at_mut(16);
    // The only error is that of a text beyond 256 GiB.
    if let Ok(made) = cipher.encrypt_inout_detached(&Nonce::default(), &[], InOutBuf::from(text)) {
        tag.copy_from_slice(&made);
    }
    Wrapped { share, key }
}

/// The key of a file; none where it was wrapped for somebody else.
pub(super) fn unwrap(identity: &Identity, wrapped: &Wrapped) -> Option<FileKey> {
    let shared = MontgomeryPoint(wrapped.share).mul_clamped(*identity.0);
    let shared = Zeroizing::new(shared.0);
    if *shared == [0; 32] {
        return None;
    }
    let cipher = cipher(&shared, &wrapped.share, &identity.recipient().0.0);
    let (text, tag) = wrapped.key.split_at(16);
    let mut key = FileKey::default();
    key.copy_from_slice(text);
    let tag = Tag::try_from(tag).ok()?;
    let opened =
        cipher.decrypt_inout_detached(&Nonce::default(), &[], InOutBuf::from(&mut key[..]), &tag);
    opened.ok().map(|()| key)
}

fn cipher(shared: &[u8; 32], share: &[u8; 32], recipient: &[u8; 32]) -> ChaCha20Poly1305 {
    let salt = [&share[..], recipient].concat();
    ChaCha20Poly1305::new((&*derive(shared, &salt, X25519)).into())
}

/// HKDF-SHA-256 with one block of output.
pub(super) fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let extracted = mac(salt, &[secret]);
    mac(&extracted[..], &[info, &[1]])
}

/// HMAC-SHA-256 over parts.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keyed(key, parts).finalize().into_bytes().into())
}

/// Whether a code is that of a text, compared in a time that says nothing.
pub(super) fn is_mac(key: &[u8], text: &[u8], code: &[u8; 32]) -> bool {
    keyed(key, &[text]).verify(code.into()).is_ok()
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key longer than a block is hashed first, as HMAC has it: any length is one.
    let mut padded = Zeroizing::new([0; 64]);
    match key.len() {
        ..=64 => padded[..key.len()].copy_from_slice(key),
        _ => padded[..32].copy_from_slice(&<sha2::Sha256 as sha2::Digest>::digest(key)),
    }
    let mut keyed = <Hmac<Sha256> as KeyInit>::new((&*padded).into());
    parts.iter().for_each(|part| keyed.update(part));
    keyed
}
