//! The forms in which a key is written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use zeroize::{Zeroize, Zeroizing};

use super::KeyError;

const EXPECTED: &str = "a secret Ed25519 key";

/// The 32 bytes of a secret key.
pub(super) struct Seed(pub(super) Zeroizing<[u8; 32]>);

/// A key of C2SP's notes, public or secret: `<name>+<id>+base64(signature type || key)`.
pub(super) struct NamedKey {
    pub(super) name: String,
    pub(super) id: [u8; 4],
    pub(super) signature_type: u8,
    pub(super) key: [u8; 32],
}

fn refused(reason: &str) -> KeyError {
    KeyError::Malformed {
        expected: EXPECTED,
        reason: reason.to_owned(),
    }
}

/// The seed that a text holds, and what else it says of its key.
pub(super) fn parse(text: &str) -> Result<(Option<NamedKey>, Seed), KeyError> {
    let text = text.trim();
    if let Some(signer) = text.strip_prefix("PRIVATE+KEY+") {
        let mut named = named(signer).map_err(refused)?;
        let seed = Zeroizing::new(named.key);
        named.key.zeroize();
        return Ok((Some(named), Seed(seed)));
    }
    if text.starts_with("-----BEGIN ") {
        return Ok((None, pem(text)?));
    }
    if text.starts_with('S') && !text.contains(char::is_whitespace) {
        return Ok((None, nkey_seed(text).map_err(refused)?));
    }
    Err(refused(
        "give the seed of an nkey (`SU…`), a PEM file with `BEGIN PRIVATE KEY`, or a signer of Go's notes (`PRIVATE+KEY+…`)",
    ))
}

/// `<name>+<id>+base64(signature type || key)`.
pub(super) fn named(text: &str) -> Result<NamedKey, &'static str> {
    let (name, rest) = text
        .split_once('+')
        .ok_or("it has no `+` behind its name")?;
    let (id, key) = rest.split_once('+').ok_or("it has no `+` behind its id")?;
    let is_hex = |it: &u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    if id.len() != 8 || !id.as_bytes().iter().all(is_hex) {
        return Err("its id is not 8 digits of lower-case hex");
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| "its id is not hex")?;
    let bytes = STANDARD.decode(key).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "its key is not base64")?;
    let (signature_type, key) = bytes.split_first().ok_or("its key is empty")?;
    Ok(NamedKey {
        name: name.to_owned(),
        id: id.to_be_bytes(),
        signature_type: *signature_type,
        key: key
            .try_into()
            .map_err(|_| "its key does not have 32 bytes")?,
    })
}

fn pem(text: &str) -> Result<Seed, KeyError> {
    if text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(refused(
            "it is encrypted; decrypt it with `openssl pkey -in FILE -out DECRYPTED` into a file that only this program can read",
        ));
    }
    if text.starts_with("-----BEGIN OPENSSH PRIVATE KEY") {
        return Err(refused(
            "keys of OpenSSH are not taken; make one with `openssl genpkey -algorithm ed25519`",
        ));
    }
    // What the parser says names places and types, never the bytes.
    let key = ed25519_dalek::SigningKey::from_pkcs8_pem(text).map_err(|error| {
        refused(&format!(
            "the PEM does not hold a PKCS#8 Ed25519 key ({error})"
        ))
    })?;
    Ok(Seed(Zeroizing::new(key.to_bytes())))
}

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key as PEM.
pub(super) fn to_pem(seed: &[u8; 32]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 48]);
    bytes[..16].copy_from_slice(&PKCS8_HEAD);
    bytes[16..].copy_from_slice(seed);
    let encoded = Zeroizing::new(STANDARD.encode(*bytes));
    Zeroizing::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        *encoded
    ))
}

/// The kinds of nkeys that sign, by their prefix byte: account, cluster, module, operator, server, user, service.
const SIGNING_KINDS: [u8; 7] = [0 << 3, 2 << 3, 12 << 3, 14 << 3, 13 << 3, 20 << 3, 21 << 3];
const SEED_PREFIX: u8 = 18 << 3;

/// The seed of an nkey: base32 of two bytes that say what it is, 32 bytes, and a checksum.
fn nkey_seed(text: &str) -> Result<Seed, &'static str> {
    let bytes =
        base32(text).ok_or("the seed of an nkey is 58 characters of base32, and this is not")?;
    let (body, sum) = bytes.split_at(34);
    if crc16(body).to_le_bytes() != sum {
        return Err("the checksum of the nkey is wrong: a part of it was changed or left out");
    }
    let kind = (body[0] & 7) << 5 | body[1] >> 3;
    if body[0] & 0xf8 != SEED_PREFIX || body[1] & 7 != 0 {
        return Err("it is an nkey, but not a seed");
    }
    if !SIGNING_KINDS.contains(&kind) {
        return Err("this kind of nkey does not sign; make one with `nk -gen user`");
    }
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&body[2..]);
    Ok(Seed(seed))
}

/// The 36 bytes that 58 characters of base32 without padding hold (RFC 4648, section 6).
fn base32(text: &str) -> Option<Zeroizing<[u8; 36]>> {
    if text.len() != 58 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 36]);
    let (mut bits, mut count, mut at) = (0_u32, 0, 0);
    for digit in text.bytes() {
        let digit = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(digit);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes[at] = (bits >> count) as u8;
            bits &= (1 << count) - 1;
            at += 1;
        }
    }
    // The bits that are over are zero, so that a key is written in one way.
    (bits == 0).then_some(bytes)
}

/// CRC-16 as XMODEM has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            let shifted = sum << 1;
            match sum & 0x8000 {
                0 => shifted,
                _ => shifted ^ 0x1021,
            }
        })
    })
}
