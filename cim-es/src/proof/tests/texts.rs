use super::super::tree;
use super::super::{
    Checkpoint, ConsistencyProof, InclusionProof, ProofError, SignedCheckpoint, Trust, Witness,
};
use super::{TreeHash, cid, key, leaves};
use crate::domain::message::Timestamp;

const ORIGIN: &str = "example.org/library";

fn node(leaves: &[TreeHash]) -> impl FnMut(u32, u64) -> Result<TreeHash, ProofError> + '_ {
    |level, index| {
        let start = (index << level) as usize;
        Ok(super::super::edge::joined(
            &leaves[start..start + (1 << level)],
        ))
    }
}

fn checkpoint(size: u64) -> Checkpoint {
    let leaves = leaves(size);
    let root = tree::root(size, node(&leaves)).expect("the leaves are there");
    Checkpoint::new(ORIGIN, size, root)
}

fn signed(size: u64) -> SignedCheckpoint {
    let key = key(ORIGIN, 1);
    checkpoint(size).sign(&key).expect("it is the log's key")
}

fn inclusion(index: u64, size: u64) -> InclusionProof {
    let leaves = leaves(size);
    let path = tree::inclusion(index, size, node(&leaves)).expect("the leaves are there");
    InclusionProof::new(cid(index), index, path, signed(size))
}

fn consistency(old: u64, new: u64) -> ConsistencyProof {
    let leaves = leaves(new);
    let path = tree::consistency(old, new, node(&leaves)).expect("the leaves are there");
    ConsistencyProof::new(old, path, signed(new))
}

fn trust() -> Trust {
    Trust::new([key(ORIGIN, 1).verifying_key()])
}

/// Every text that is one byte away, or ends early.
fn changed(text: &str) -> impl Iterator<Item = String> + '_ {
    let bytes = text.as_bytes();
    let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
    let flipped = (0..bytes.len()).flat_map(move |at| {
        let others = [bytes[at] ^ 1, bytes[at] ^ 0x20, b'\n', b'A'];
        others
            .into_iter()
            .filter(move |it| *it != bytes[at])
            .map(move |byte| {
                let mut bytes = bytes.to_vec();
                bytes[at] = byte;
                bytes
            })
    });
    let doubled = (0..bytes.len()).map(|at| [&bytes[..=at], &bytes[at..]].concat());
    let all = cut.chain(flipped).chain(doubled);
    all.filter_map(|it| String::from_utf8(it).ok())
        .filter(move |it| it != text)
}

#[test]
fn a_checkpoint_reads_as_it_was_written_and_verifies() {
    for size in [0, 1, 5] {
        let text = signed(size).to_string();
        let read: SignedCheckpoint = text.parse().expect("it is a checkpoint");
        assert_eq!(read.to_string(), text);
        assert_eq!(read.verify(&trust()), Ok(checkpoint(size)));
    }
}

#[test]
fn no_changed_or_cut_checkpoint_verifies() {
    let trust = trust();
    for text in changed(&signed(5).to_string()) {
        let read = text.parse::<SignedCheckpoint>();
        let verified = read.and_then(|it| it.verify(&trust));
        assert!(verified.is_err(), "{text}");
    }
}

#[test]
fn no_changed_or_cut_proof_of_inclusion_verifies() {
    let proof = inclusion(3, 7);
    let text = proof.to_string();
    assert_eq!(text.parse().as_ref(), Ok(&proof));
    assert_eq!(proof.verify(&cid(3), &trust()), Ok(checkpoint(7)));
    let trust = trust();
    for text in changed(&text) {
        let read = text.parse::<InclusionProof>();
        let verified = read.and_then(|it| it.verify(&cid(3), &trust));
        assert!(verified.is_err(), "{text}");
    }
}

#[test]
fn no_changed_or_cut_proof_of_consistency_verifies() {
    let proof = consistency(3, 7);
    let text = proof.to_string();
    assert_eq!(text.parse().as_ref(), Ok(&proof));
    assert_eq!(proof.verify(&checkpoint(3), &trust()), Ok(checkpoint(7)));
    let (old, trust) = (checkpoint(3), trust());
    for text in changed(&text) {
        let read = text.parse::<ConsistencyProof>();
        let verified = read.and_then(|it| it.verify(&old, &trust));
        assert!(verified.is_err(), "{text}");
    }
}

#[test]
fn a_proof_is_of_its_event_and_of_its_checkpoints_alone() {
    let proof = inclusion(3, 7);
    let expected = Err(ProofError::OtherEvent {
        expected: cid(4),
        found: cid(3),
    });
    assert_eq!(proof.verify(&cid(4), &trust()), expected);

    let without_name = proof
        .to_string()
        .lines()
        .filter(|it| !it.starts_with("extra "))
        .fold(String::new(), |text, line| text + line + "\n");
    let without_name: InclusionProof = without_name.parse().expect("the name may be left out");
    assert_eq!(without_name.verify(&cid(3), &trust()), Ok(checkpoint(7)));
    let refused = without_name.verify(&cid(4), &trust());
    assert!(
        matches!(refused, Err(ProofError::NotIncluded { .. })),
        "{refused:?}"
    );

    for other in [checkpoint(2), Checkpoint::new(ORIGIN, 3, TreeHash::empty())] {
        let refused = consistency(3, 7).verify(&other, &trust());
        assert!(
            matches!(refused, Err(ProofError::Inconsistent { .. })),
            "{refused:?}"
        );
    }
    let elsewhere = Checkpoint::new("example.org/other", 3, checkpoint(3).root());
    let refused = consistency(3, 7).verify(&elsewhere, &trust());
    assert!(
        matches!(refused, Err(ProofError::OtherOrigin { .. })),
        "{refused:?}"
    );
}

#[test]
fn the_key_of_another_log_and_a_key_under_another_name_are_not_trusted() {
    let others = [
        key(ORIGIN, 2),
        key("example.org/other", 1),
        key(ORIGIN, 1).for_witness(),
    ];
    for other in others {
        let refused = signed(5).verify(&Trust::new([other.verifying_key()]));
        let untrusted = ProofError::Untrusted {
            origin: ORIGIN.to_owned(),
        };
        assert_eq!(refused, Err(untrusted), "{other:?}");
    }
    let refused = checkpoint(5).sign(&key("example.org/other", 1));
    assert!(matches!(refused, Err(ProofError::OtherOrigin { .. })));
    let refused = checkpoint(5).sign(&key(ORIGIN, 1).for_witness());
    assert!(matches!(refused, Err(ProofError::WrongKey { .. })));
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

#[test]
fn a_witness_cosigns_what_goes_on_from_the_last_that_it_saw() {
    let witness = key("example.net/witness", 7).for_witness();
    let with_witness = Trust::new([key(ORIGIN, 1).verifying_key(), witness.verifying_key()]);
    let asks = with_witness.clone().quorum(1);
    let key_of_witness = witness.verifying_key();
    let witness = Witness::new(witness, trust()).expect("it is the key of a witness");

    let few = signed(3).verify(&asks);
    assert_eq!(
        few,
        Err(ProofError::TooFewWitnesses {
            found: 0,
            needed: 1
        })
    );
    let first = witness
        .cosign(None, &consistency(0, 3), at(1_679_315_147))
        .expect("it is the first");
    let seen = first.verify(&asks).expect("it is cosigned");
    assert_eq!(seen, checkpoint(3));
    let cosigned = with_witness.cosignatures(&first).expect("it fits");
    assert_eq!(
        (&cosigned[0].witness, cosigned[0].time),
        (&key_of_witness, at(1_679_315_147))
    );

    let second = witness.cosign(Some(&seen), &consistency(3, 7), at(1_679_315_200));
    assert_eq!(second.and_then(|it| it.verify(&asks)), Ok(checkpoint(7)));
    let again = witness
        .cosign(Some(&seen), &consistency(3, 3), at(1_679_315_300))
        .expect("the same");
    let cosigned = with_witness.cosignatures(&again).expect("it fits");
    assert_eq!((cosigned.len(), cosigned[0].time), (1, at(1_679_315_300)));

    for (last, offered) in [
        (7, consistency(3, 3)),
        (2, consistency(3, 7)),
        (7, consistency(0, 3)),
    ] {
        let refused = witness.cosign(Some(&checkpoint(last)), &offered, at(0));
        assert!(
            matches!(refused, Err(ProofError::Inconsistent { .. })),
            "{refused:?}"
        );
    }
    let another = Checkpoint::new(ORIGIN, 3, TreeHash::of_event(&cid(9)));
    let refused = witness.cosign(Some(&another), &consistency(3, 7), at(0));
    assert!(
        matches!(refused, Err(ProofError::Inconsistent { .. })),
        "{refused:?}"
    );
}

#[test]
fn no_changed_or_cut_cosignature_counts() {
    let witness = key("example.net/witness", 7).for_witness();
    let keys = [key(ORIGIN, 1).verifying_key(), witness.verifying_key()];
    let asks = Trust::new(keys).quorum(1);
    let witness = Witness::new(witness, trust()).expect("it is the key of a witness");
    let cosigned = witness
        .cosign(None, &consistency(0, 3), at(1_679_315_147))
        .expect("the first");
    assert!(cosigned.verify(&asks).is_ok());
    for text in changed(&cosigned.to_string()) {
        let read = text.parse::<SignedCheckpoint>();
        let verified = read.and_then(|it| it.verify(&asks));
        assert!(verified.is_err(), "{text}");
    }
}

#[test]
fn a_witness_counts_once_under_however_many_names() {
    let names = ["example.net/one", "example.net/two"];
    let mut signed = signed(3);
    let mut keys = vec![key(ORIGIN, 1).verifying_key()];
    for name in names {
        let witness = key(name, 7).for_witness();
        keys.push(witness.verifying_key());
        let witness = Witness::new(witness, trust()).expect("it is the key of a witness");
        let offered = ConsistencyProof::new(0, Vec::new(), signed);
        signed = witness.cosign(None, &offered, at(1)).expect("the first");
    }
    let refused = signed.verify(&Trust::new(keys).quorum(2));
    assert_eq!(
        refused,
        Err(ProofError::TooFewWitnesses {
            found: 1,
            needed: 2
        })
    );
}

#[test]
fn a_malformed_text_is_refused_with_its_line() {
    let good = signed(5).to_string();
    let refused = |text: &str| match text.parse::<SignedCheckpoint>() {
        Err(ProofError::Malformed { line, .. }) => line,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(refused(""), 1);
    assert_eq!(refused(&good.replace("\n5\n", "\n05\n")), 2);
    assert_eq!(refused(&good.replace("\n5\n", "\n5x\n")), 2);
    assert_eq!(refused(&good.replace("\n5\n", "\n+5\n")), 2);
    assert_eq!(
        refused(&good.replace("\n5\n", "\n18446744073709551616\n")),
        2
    );
    assert_eq!(refused(&good.replace("=\n\n", "\n\n")), 3);
    assert_eq!(refused(&good.replace("\u{2014} ", "- ")), 5);
    assert_eq!(refused(&good.replace("library\n5", "library\r\n5")), 1);
    let proof = inclusion(3, 7).to_string();
    let refused = |text: &str| match text.parse::<InclusionProof>() {
        Err(ProofError::Malformed { line, .. }) => line,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(refused(""), 1);
    assert_eq!(refused(&proof.replace("@v1", "@v2")), 1);
    assert_eq!(refused(&proof.replace("index 3", "index 03")), 3);
    assert_eq!(refused(&proof.replace("\n7\n", "\n07\n")), 9);
}
