//! Encrypted files: read back as they were written, and refused wherever they were changed.

use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::stream::{CHUNK, TAG};
use super::*;

fn encrypted(bytes: &[u8], recipients: &[Recipient]) -> Vec<u8> {
    let mut writer = AgeWriter::new(Vec::new(), recipients).expect("it begins");
    writer.write_all(bytes).expect("it is written");
    writer.finish().expect("it is ended")
}

/// What is inside, or why it is refused, and what was given away by then.
fn read(file: &[u8], identity: &Identity) -> (Vec<u8>, Result<(), AgeFault>) {
    let mut bytes = Vec::new();
    let mut reader = match AgeReader::new(file, std::slice::from_ref(identity)) {
        Ok(reader) => reader,
        Err(AgeError::Refused(fault)) => return (bytes, Err(fault)),
        Err(error) => panic!("{error}"),
    };
    let end = reader.read_to_end(&mut bytes);
    let fault = |error: io::Error| {
        let inner = error.get_ref().expect("it has a reason");
        inner.downcast_ref::<AgeFault>().expect("a fault").clone()
    };
    (bytes, end.map(drop).map_err(fault))
}

fn key() -> Identity {
    Identity::generate().expect("the system gives random bytes")
}

/// Bytes of which no two chunks are the same.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn what_is_encrypted_is_read_by_each_recipient_and_by_nobody_else() {
    let (ann, ben, eve) = (key(), key(), key());
    let recipients = [ann.recipient(), ben.recipient()];
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
        let inside = bytes(length);
        let file = encrypted(&inside, &recipients);
        for identity in [&ann, &ben] {
            let (read, end) = read(&file, identity);
            assert_eq!(end, Ok(()), "{length} bytes");
            assert!(read == inside, "{length} bytes");
        }
        let (given, end) = read(&file, &eve);
        assert!(given.is_empty());
        assert!(
            matches!(&end, Err(AgeFault::NotForUs { recipients, identities: 1 })
                if recipients == "recipients: 2 of the kind X25519"),
            "{end:?}"
        );
        let both = AgeReader::new(&file[..], &[eve.clone(), ben.clone()]);
        assert!(both.is_ok(), "one of several identities is enough");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_and_gives_nothing_away_that_is_not_proved() {
    let ann = key();
    let small = encrypted(b"for Ann alone", &[ann.recipient()]);
    for length in 0..small.len() {
        let (given, end) = read(&small[..length], &ann);
        assert!(end.is_err(), "cut at {length}");
        assert!(given.is_empty(), "cut at {length}");
    }
    // At the end of a chunk nothing is missing but what says that it is the last.
    let inside = bytes(2 * CHUNK + 5);
    let large = encrypted(&inside, &[ann.recipient()]);
    let last = large.len() - 5 - TAG;
    for (length, at) in [
        (last, 2 * CHUNK),
        (last - CHUNK - TAG, CHUNK),
        (last + 3, 2 * CHUNK),
    ] {
        let (given, end) = read(&large[..length], &ann);
        assert_eq!(end, Err(AgeFault::Cut { at: at as u64 }));
        assert!(inside.starts_with(&given));
    }
    let (_, end) = read(&large[..last + TAG + 1], &ann);
    let at = 2 * CHUNK as u64;
    assert_eq!(end, Err(AgeFault::Changed { at }));
}

#[test]
fn a_file_with_any_byte_changed_is_refused() {
    let ann = key();
    let file = encrypted(b"for Ann alone", &[ann.recipient()]);
    for place in 0..file.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[place] ^= flip;
            let (given, end) = read(&changed, &ann);
            assert!(end.is_err(), "byte {place} by {flip:#x}");
            assert!(given.is_empty(), "byte {place} by {flip:#x}");
        }
    }
}

#[test]
fn chunks_that_are_swapped_dropped_or_added_are_refused() {
    let ann = key();
    let file = encrypted(&bytes(3 * CHUNK), &[ann.recipient()]);
    let start = file.len() - 3 * (CHUNK + TAG);
    let (header, chunks) = file.split_at(start);
    let chunks: Vec<_> = chunks.chunks(CHUNK + TAG).collect();
    let made = |order: &[usize]| {
        let chunks = order.iter().map(|at| chunks[*at]);
        [header]
            .into_iter()
            .chain(chunks)
            .collect::<Vec<_>>()
            .concat()
    };
    assert_eq!(read(&made(&[0, 1, 2]), &ann).1, Ok(()));
    let changed = |at: usize| {
        Err(AgeFault::Changed {
            at: (at * CHUNK) as u64,
        })
    };
    assert_eq!(read(&made(&[1, 0, 2]), &ann).1, changed(0));
    assert_eq!(read(&made(&[0, 2]), &ann).1, changed(1));
    assert_eq!(read(&made(&[0, 1, 1]), &ann).1, changed(2));
    let at = 3 * CHUNK as u64;
    assert_eq!(
        read(&made(&[0, 1, 2, 2]), &ann).1,
        Err(AgeFault::Trailing { at })
    );
    let more = [&file[..], b"!"].concat();
    assert_eq!(read(&more, &ann).1, Err(AgeFault::Trailing { at }));
}

#[test]
fn what_another_program_wrote_is_read() {
    // Made by pyrage 1.4.0, with a recipient of a kind that nobody knows.
    let identity = Identity::parse(
        "AGE-SECRET-KEY-1MUTM9WJUX6YXLJYF7KS8Y8Q77H4QMHY3MQDGAX8C538EFN2GL0PSTU0YK9",
    );
    let identity = identity.expect("it is one");
    assert_eq!(
        identity.recipient().to_string(),
        "age192g0l8l8za7pcc6myal8sy96ltna5s9mjdcr4xeg4kx27t5end5ss0sl9m"
    );
    let header = "age-encryption.org/v1\n\
        -> X25519 mmMWyJu7SFTYJ9Zt7xyJRgZGHzM8zaka29LnDZFyygA\n\
        ih/uoVca02RKjcOVQEDNajRq/R+XaSegXIie3+vFkUw\n\
        -> W7S.RKE@-grease xu &9Lo.\\`\n\
        3SA5LJKR8S5fV/TElDVF7mxb8/kBKmVZMZ0\n\
        --- Z0pHzfUUParnsBc9z5e1won+cRhCh/lJplEuNhWZjUM\n";
    let payload =
        "DsOyl/q7f2b6ucmawZnqOpXwU/cLywW3REu8hfm9JAeCwuj2PIrDGAAUu42VSU5bkV/z4wwSlphjGLon1yd4b+9R";
    let payload = STANDARD.decode(payload).expect("base64");
    let (inside, end) = read(&[header.as_bytes(), &payload].concat(), &identity);
    assert_eq!(end, Ok(()));
    assert_eq!(inside, b"a file of the other implementation");
    let (_, end) = read(&[header.as_bytes(), &payload].concat(), &key());
    let said = end.expect_err("it is for somebody else").to_string();
    assert!(
        said.contains("1 of the kind W7S.RKE@-grease, 1 of the kind X25519"),
        "{said}"
    );
}

#[test]
fn what_is_no_such_file_is_refused_for_what_it_is() {
    let ann = key();
    let says = |file: &[u8]| read(file, &ann).1.expect_err("it is refused").to_string();
    assert_eq!(says(b""), "it is not an encrypted file (age)");
    assert_eq!(says(b"a text\n"), "it is not an encrypted file (age)");
    assert!(says(b"age-encryption.org/v2\n").contains("version `v2`"));
    assert!(says(b"age-encryption.org/v1").contains("in line 1, it ends there"));
    assert!(says(b"-----BEGIN AGE ENCRYPTED FILE-----\n").contains("armored"));
    let begun = |rest: &str| says(format!("age-encryption.org/v1\n{rest}").as_bytes());
    let code = "A".repeat(43);
    assert!(begun(&format!("--- {code}\n")).contains("it is encrypted to nobody"));
    assert!(begun("--- A\n").contains("in line 2, the code at its end is not one"));
    assert!(begun("->\n").contains("in line 2, no recipient stands there"));
    assert!(begun("->  a\n\n").contains("in line 2, no recipient stands there"));
    assert!(begun("-> X25519 AAAA\n\n").contains("in line 3, a recipient of the kind X25519"));
    assert!(begun("-> a\n***\n").contains("in line 3, what stands below a recipient"));
    assert!(begun(&format!("-> a\n{}\n", "A".repeat(68))).contains("in line 3"));
    // A header that never ends takes no more memory than a header may.
    let endless = io::repeat(b'A').take(1 << 24);
    let file = io::Cursor::new("age-encryption.org/v1\n-> ").chain(endless);
    let refused = AgeReader::new(file, &[ann]).expect_err("it is too long");
    assert!(refused.to_string().contains("it is too long"), "{refused}");
}

#[test]
fn a_file_is_encrypted_to_somebody() {
    let nobody = AgeWriter::new(Vec::new(), &[]);
    assert!(matches!(nobody, Err(AgeError::NoRecipient)));
    let many = vec![key().recipient(); 10_000];
    let refused = AgeWriter::new(Vec::new(), &many).expect_err("too many");
    assert!(matches!(
        refused,
        AgeError::TooManyRecipients { given: 10_000, .. }
    ));
}

#[test]
fn keys_are_written_in_one_way_and_any_change_is_found() {
    let ann = key();
    let text = ann.recipient().to_string();
    assert_eq!(
        text.parse::<Recipient>().expect("it is one"),
        ann.recipient()
    );
    assert_eq!(text.len(), 62);
    let capital = text.to_ascii_uppercase();
    assert_eq!(
        capital.parse::<Recipient>().expect("it is one"),
        ann.recipient()
    );
    for place in 0..text.len() {
        for other in "acdeqx2791é ".chars() {
            let mut changed: Vec<char> = text.chars().collect();
            if changed[place] == other {
                continue;
            }
            changed[place] = other;
            let changed: String = changed.into_iter().collect();
            changed.parse::<Recipient>().expect_err(&changed);
        }
    }
    for length in 0..text.len() {
        text[..length].parse::<Recipient>().expect_err("it is cut");
    }
    // The point 0, with which everybody knows the key.
    let weak = bech32::encode("age", &[0; 32]);
    let refused = weak.parse::<Recipient>().expect_err("it hides nothing");
    assert!(refused.to_string().contains("hides nothing"), "{refused}");
}

#[test]
fn a_key_that_is_given_for_the_other_is_not_shown() {
    let secret = "AGE-SECRET-KEY-1MUTM9WJUX6YXLJYF7KS8Y8Q77H4QMHY3MQDGAX8C538EFN2GL0PSTU0YK9";
    let refused = secret.parse::<Recipient>().expect_err("it is secret");
    assert!(
        refused.to_string().contains("it is an identity"),
        "{refused}"
    );
    assert!(!refused.to_string().contains("MUTM9"), "{refused}");
    let public = key().recipient().to_string();
    let refused = Identity::parse(&public).expect_err("it is public");
    assert!(
        refused.to_string().contains("it is a recipient"),
        "{refused}"
    );
    let shown = format!("{:?}", Identity::parse(secret).expect("it is one"));
    assert!(!shown.contains("MUTM9"), "{shown}");
}
