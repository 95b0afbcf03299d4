use super::super::key_text;
use super::super::{KeyError, KeyUse, SignedCheckpoint, SigningKey, Trust, VerifyingKey};
use super::key;

/// The seed that the documentation of NATS shows.
const NKEY: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
/// The key of the documentation of Go's notes.
const SIGNER: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

/// The texts that differ from a text in one byte.
fn changed(text: &str) -> impl Iterator<Item = String> + '_ {
    let flipped = (0..text.len()).flat_map(move |at| {
        b"A2a7+/ \n"
            .iter()
            .filter(move |it| **it != text.as_bytes()[at])
            .map(move |byte| {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = *byte;
                bytes
            })
    });
    let cut = (0..text.len()).map(|end| text.as_bytes()[..end].to_vec());
    flipped
        .chain(cut)
        .filter_map(|it| String::from_utf8(it).ok())
}

#[test]
fn the_signer_of_a_note_in_go_has_the_public_key_that_go_says() {
    let key = SigningKey::parse("PeterNeumann", SIGNER).expect("it is a signer");
    assert_eq!(key.verifying_key().to_string(), VERIFIER);
    assert_eq!(
        VERIFIER.parse::<VerifyingKey>().ok(),
        Some(key.verifying_key())
    );
    let refused = SigningKey::parse("example.org/library", SIGNER);
    assert!(
        matches!(refused, Err(KeyError::OtherName { .. })),
        "{refused:?}"
    );
}

#[test]
fn no_changed_signer_and_no_changed_verifier_is_taken() {
    let name = "PeterNeumann";
    let key = SigningKey::parse(name, SIGNER)
        .expect("it is a signer")
        .verifying_key();
    for text in changed(SIGNER) {
        if let Ok(taken) = SigningKey::parse(name, &text) {
            assert_eq!(taken.verifying_key(), key, "{text}");
            assert_eq!(text.trim(), SIGNER, "only white space around it may differ");
        }
    }
    for text in changed(VERIFIER) {
        assert!(text.parse::<VerifyingKey>().is_err(), "{text}");
    }
}

#[test]
fn the_seed_of_an_nkey_is_taken_and_no_changed_one() {
    let key = SigningKey::parse("example.org/library", &format!("{NKEY}\n")).expect("a seed");
    assert_eq!(key.usage(), KeyUse::Log);
    for text in changed(NKEY) {
        let taken = SigningKey::parse("example.org/library", &text);
        assert!(taken.is_err(), "{text}: {taken:?}");
    }
}

#[test]
fn what_is_not_a_signing_key_is_refused_with_what_to_do() {
    let refused = |text: &str| match SigningKey::parse("example.org/library", text) {
        Err(error) => error.to_string(),
        Ok(key) => panic!("{key:?}"),
    };
    // The public part of an nkey, and the seed of one that encrypts.
    let public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
    assert!(refused(public).contains("give the seed of an nkey"));
    assert!(refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n").contains("openssl pkey"));
    assert!(refused("-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n").contains("openssl genpkey"));
    assert!(refused("-----BEGIN PRIVATE KEY-----\nAA==\n").contains("PKCS#8"));
    assert!(refused("").contains("give the seed of an nkey"));
    for name in ["", "a b", "a+b", "a\nb", &"x".repeat(256)] {
        let refused = SigningKey::parse(name, NKEY);
        assert!(matches!(refused, Err(KeyError::Name { .. })), "{name:?}");
    }
}

#[test]
fn no_key_shows_its_secret() {
    let key = SigningKey::parse("PeterNeumann", SIGNER).expect("it is a signer");
    assert_eq!(
        format!("{key:?}"),
        "SigningKey { name: \"PeterNeumann\", usage: Log, .. }"
    );
    let secret = &SIGNER[SIGNER.len() - 40..];
    for text in changed(SIGNER) {
        if let Err(error) = SigningKey::parse("PeterNeumann", &text) {
            let said = format!("{error} {error:?}");
            assert!(
                !said.contains(&secret[..20]) && !said.contains(&secret[20..]),
                "{said}"
            );
        }
    }
    assert!(key_text::named("").is_err());
}

#[test]
fn a_key_that_verifies_what_nobody_signed_is_not_trusted() {
    // The points of small order: a signature under them can be made without a secret.
    for y in [0_u8, 1] {
        let mut bytes = [0; 33];
        (bytes[0], bytes[1]) = (1, y);
        use base64::Engine;
        let key = base64::engine::general_purpose::STANDARD.encode(bytes);
        let text = format!("example.org/library+00000000+{key}");
        let refused = text
            .parse::<VerifyingKey>()
            .map_err(|error| error.to_string());
        assert!(
            refused.is_err_and(|it| it.contains("can be trusted")),
            "{text}"
        );
    }
}

#[test]
fn the_note_that_the_specification_shows_is_read_and_its_key_fits() {
    // Its text is not a checkpoint; the signature is over the text alone.
    let key: VerifyingKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        .parse()
        .expect("it is a key");
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let read = super::super::note::SignedNote::parse(note)
        .map_err(|it| it.reason)
        .expect("a note");
    assert!(key.verifies(read.text.as_bytes(), &read.signatures[0].bytes));
    assert_eq!(read.signatures[0].id, key.id());
    assert_eq!(read.to_string(), note);
    assert!(note.parse::<SignedCheckpoint>().is_err());
}

#[test]
fn trust_is_a_list_of_keys_with_remarks() {
    let (log, witness) = (
        key("example.org/library", 1),
        key("example.net/w", 2).for_witness(),
    );
    let text = format!(
        "# the log\n{}\n\n# a witness\n  {}\n",
        log.verifying_key(),
        witness.verifying_key()
    );
    let trust = Trust::parse(&text).expect("all of them are keys");
    assert_eq!(trust.keys(), [log.verifying_key(), witness.verifying_key()]);
    assert!(Trust::parse("example.org/library").is_err());
}
