//! Writing canonical dag-cbor piece by piece; the order of the keys of a map is up to the caller.

use ::cid::Cid;

use super::cid::CID_BYTES;
use super::reader::major;

/// A head in its shortest form.
pub(crate) fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

/// A key of a map.
pub(crate) fn key(out: &mut Vec<u8>, key: &'static str) {
    text(out, key);
}

/// A text.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    head(out, major::TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A byte string.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, major::BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// An integer.
pub(crate) fn integer(out: &mut Vec<u8>, integer: i64) {
    match u64::try_from(integer) {
        Ok(positive) => head(out, major::UNSIGNED, positive),
        // The argument of a negative integer is -1 - n, which is its complement.
        Err(_) => head(out, major::NEGATIVE, !integer as u64),
    }
}

/// A link.
pub(crate) fn link(out: &mut Vec<u8>, cid: &Cid) {
    // Tag 42, a byte string, and the zero byte that stands before a CID in binary form.
    out.extend_from_slice(&[0xd8, 42]);
    let mut binary = [0; 1 + CID_BYTES];
    match cid.write_bytes(&mut binary[1..]) {
        Ok(CID_BYTES) => bytes(out, &binary),
        _ => {
            let mut binary = vec![0];
            binary.extend_from_slice(&cid.to_bytes());
            bytes(out, &binary);
        }
    }
}
