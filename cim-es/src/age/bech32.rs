//! Bech32 (BIP 173), in which age writes its keys: a name, `1`, 32 bytes in digits of 5 bits, and a checksum.

use zeroize::Zeroizing;

const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// The digits of 32 bytes, and those of the checksum.
const KEY: usize = 52;
const SUM: usize = 6;

/// A key under a name of small letters.
pub(super) fn encode(name: &str, key: &[u8; 32]) -> Zeroizing<String> {
    let mut values = Zeroizing::new([0; KEY + SUM]);
    let (mut bits, mut count, mut at) = (0_u32, 0, 0);
    for byte in key {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            values[at] = (bits >> count & 31) as u8;
            at += 1;
        }
    }
    // One bit is over, and four that are zero.
    values[at] = (bits << (5 - count) & 31) as u8;
    let sum = checksum(name, &values[..]) ^ 1;
    for place in 0..SUM {
        values[KEY + place] = (sum >> (5 * (SUM - 1 - place)) & 31) as u8;
    }
    let mut text = Zeroizing::new(String::with_capacity(name.len() + 1 + KEY + SUM));
    text.push_str(name);
    text.push('1');
    text.extend(values.iter().map(|it| char::from(DIGITS[usize::from(*it)])));
    text
}

/// The key in a text that must have a name, given in small letters; the text is small or capital letters throughout.
pub(super) fn decode(name: &str, text: &str) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    let has_small = text.bytes().any(|it| it.is_ascii_lowercase());
    if has_small && text.bytes().any(|it| it.is_ascii_uppercase()) {
        return Err("it has small and capital letters");
    }
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let digits = text
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('1'))
        .ok_or("it begins in another way")?;
    if digits.len() != KEY + SUM {
        return Err("it has another length: a part is missing, or something follows");
    }
    let mut values = Zeroizing::new([0; KEY + SUM]);
    for (value, digit) in values.iter_mut().zip(digits.bytes()) {
        let found = DIGITS.iter().position(|it| *it == digit);
        *value = found.ok_or("it has a character that no key has")? as u8;
    }
    if checksum(name, &values[..]) != 1 {
        return Err("its checksum is wrong: a part of it was changed");
    }
    let mut key = Zeroizing::new([0; 32]);
    let (mut bits, mut count, mut at) = (0_u32, 0, 0);
    for value in &values[..KEY] {
        bits = bits << 5 | u32::from(*value);
        count += 5;
        if count >= 8 {
            count -= 8;
            key[at] = (bits >> count) as u8;
            bits &= (1 << count) - 1;
            at += 1;
        }
    }
    match bits {
        0 => Ok(key),
        // So that a key is written in one way.
        _ => Err("its last digit has bits that are over"),
    }
}

/// The remainder of the polynomial that the checksum makes 1.
fn checksum(name: &str, values: &[u8]) -> u32 {
    const FACTORS: [u32; 5] = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
    let high = name.bytes().map(|it| it >> 5);
    let low = name.bytes().map(|it| it & 31);
    let named = high.chain([0]).chain(low);
    named.chain(values.iter().copied()).fold(1, |sum, value| {
        let top = sum >> 25;
        let shifted = (sum & 0x1ff_ffff) << 5 ^ u32::from(value);
        FACTORS
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(shifted, |sum, (_, factor)| sum ^ factor)
    })
}
