//! A history is proved as a whole: each fault has its verdict, and with the head known none goes unseen.

use crate::blocks_support::*;
use std::path::Path;

use bytes::Bytes;
use cim_es::ErrorChain;
use cim_es::block::{
    ChainHead, ChainVerifier, Cid, CommitVerifier, Envelope, EnvelopeBlock, EventBlock, Fault,
    HashCode, StoredEvent, Truncation, Verdict, verify_envelope_chain, verify_event_chain,
    verify_event_chain_with_parents,
};
use cim_es::message::Timestamp;
use cim_es::store::{ExpectedVersion, Location, NewEvent, SealOptions, StoreError, seal};

fn blocks(events: &[StoredEvent]) -> Vec<EventBlock> {
    events.iter().map(EventBlock::from).collect()
}

fn head(events: &[StoredEvent]) -> Option<ChainHead> {
    events.last().map(ChainHead::from)
}

fn verdict(blocks: &[EventBlock], head: Option<ChainHead>) -> Verdict {
    verify_event_chain(blocks, head).expect_err("a fault that must be seen")
}

/// A block with an envelope of the test's own making, which hashes to its CID.
fn forged(event: &StoredEvent, change: impl FnOnce(&mut Envelope)) -> EventBlock {
    let mut envelope = event.envelope.clone();
    change(&mut envelope);
    let envelope = serde_ipld_dagcbor::to_vec(&envelope).unwrap();
    let cid = HashCode::Sha2_256.cid(&envelope);
    let body = [&[0x82], &envelope[..], event.payload()].concat();
    EventBlock {
        cid,
        body: body.into(),
    }
}

#[test]
fn a_whole_history_is_proved_with_and_without_its_head() {
    let events = five();
    assert_eq!(
        verify_event_chain(&blocks(&events), None).as_ref(),
        Ok(&events)
    );
    assert_eq!(
        verify_event_chain(&blocks(&events), head(&events)).as_ref(),
        Ok(&events)
    );
    assert_eq!(verify_event_chain(&[], None), Ok(vec![]));
    let blake = SealOptions {
        hash: HashCode::Blake3_256,
        ..SealOptions::default()
    };
    let events = history("b", &[vec![Event::Rebooted], vec![Event::Rebooted]], &blake);
    assert_eq!(
        verify_event_chain(&blocks(&events), head(&events)).as_ref(),
        Ok(&events)
    );
}

#[test]
fn every_flipped_byte_of_every_block_is_tampering() {
    let events = five();
    let head = head(&events);
    let whole = blocks(&events);
    for index in 0..whole.len() {
        for at in 0..whole[index].body.len() {
            for pattern in [0x01, 0x02, 0x08, 0x20, 0x40, 0x80, 0xff] {
                let mut changed = whole.clone();
                let mut body = changed[index].body.to_vec();
                body[at] ^= pattern;
                changed[index].body = body.into();
                let found = verdict(&changed, head);
                assert!(
                    matches!(&found, Verdict { place, fault: Fault::Tampered { .. } }
                        if place.cid == whole[index].cid && place.position.0 == index as u64 + 1),
                    "block {index}, byte {at}, pattern {pattern:#x}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_every_cid_is_refused_or_tampering() {
    let events = five();
    for (index, event) in events.iter().enumerate() {
        for at in 0..36 {
            for pattern in [0x01, 0x0c, 0x24, 0x80, 0xff] {
                let mut cid = event.cid.to_bytes();
                cid[at] ^= pattern;
                let mut changed = blocks(&events);
                match EventBlock::new(&cid, event.body().clone()) {
                    Ok(block) => changed[index] = block,
                    Err(_) => continue,
                }
                let found = verdict(&changed, head(&events));
                assert!(
                    matches!(found.fault, Fault::Tampered { .. }),
                    "byte {at}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn a_cid_of_another_codec_over_the_right_digest_is_tampering() {
    let events = five();
    let mut changed = blocks(&events);
    changed[4].cid = Cid::new_v1(0x55, *events[4].cid.hash());
    let found = verdict(&changed, None);
    assert!(matches!(found.fault, Fault::Tampered { .. }), "{found:?}");
}

#[test]
fn every_truncated_or_lengthened_body_is_seen() {
    let events = five();
    for (index, event) in events.iter().enumerate() {
        for length in 0..event.body().len() {
            let mut changed = blocks(&events);
            changed[index].body.truncate(length);
            let found = verdict(&changed, head(&events));
            if length == event.body().len() - event.payload().len() {
                assert!(
                    matches!(found.fault, Fault::PayloadMissing { .. }),
                    "{length}: {found:?}"
                );
            } else {
                assert!(
                    matches!(found.fault, Fault::Tampered { .. }),
                    "{length}: {found:?}"
                );
            }
        }
        let mut changed = blocks(&events);
        changed[index].body = [event.body(), &[0xf6][..]].concat().into();
        let found = verdict(&changed, head(&events));
        assert!(matches!(found.fault, Fault::Tampered { .. }), "{found:?}");
    }
}

#[test]
fn every_dropped_block_leaves_a_gap_or_a_truncated_end() {
    let events = five();
    for index in 0..5 {
        let mut changed = blocks(&events);
        changed.remove(index);
        let Verdict { place, fault } = verdict(&changed, head(&events));
        match (index, fault) {
            (
                0,
                Fault::Truncated {
                    missing: Truncation::Start { first: 2 },
                },
            ) => {
                assert_eq!(place.cid, events[1].cid);
            }
            (
                4,
                Fault::Truncated {
                    missing:
                        Truncation::End {
                            last: 4,
                            expected: 5,
                        },
                },
            ) => {
                assert_eq!(place.cid, events[3].cid);
            }
            (1..4, Fault::Gap { expected, found }) => {
                assert_eq!((expected, found), (index as u64 + 1, index as u64 + 2));
                assert_eq!(place.cid, events[index + 1].cid);
            }
            (index, found) => panic!("block {index}: {found:?}"),
        }
    }
}

#[test]
fn every_duplicated_block_is_a_gap_wherever_it_stands() {
    let events = five();
    for index in 0..5 {
        for place in index + 1..=5 {
            let mut changed = blocks(&events);
            changed.insert(place, changed[index].clone());
            let found = verdict(&changed, head(&events));
            assert!(
                matches!(found.fault, Fault::Gap { expected, found, .. }
                    if (expected, found) == (place as u64 + 1, index as u64 + 1)),
                "{index} at {place}: {found:?}"
            );
        }
    }
}

#[test]
fn every_swap_of_two_blocks_is_a_gap() {
    let events = five();
    for first in 0..5 {
        for second in first + 1..5 {
            let mut changed = blocks(&events);
            changed.swap(first, second);
            let found = verdict(&changed, head(&events));
            assert!(
                matches!(found.fault, Fault::Gap { expected, found, .. }
                    if (expected, found) == (first as u64 + 1, second as u64 + 1)),
                "{first} and {second}: {found:?}"
            );
        }
    }
}

#[test]
fn a_dropped_end_without_a_known_head_is_seen_only_inside_a_commit() {
    let events = five();
    assert_eq!(
        verify_event_chain(&blocks(&events[..4]), None)
            .unwrap()
            .len(),
        4
    );
    let found = verdict(&blocks(&events[..3]), None);
    let missing = Truncation::Commit { index: 1, count: 2 };
    assert!(
        matches!(found.fault, Fault::Truncated { missing: m } if m == missing),
        "{found:?}"
    );
}

#[test]
fn nothing_at_all_is_truncated_when_a_head_is_known() {
    let events = five();
    let found = verdict(&[], head(&events));
    let missing = Truncation::End {
        last: 0,
        expected: 5,
    };
    assert!(
        matches!(found.fault, Fault::Truncated { missing: m } if m == missing),
        "{found:?}"
    );
}

#[test]
fn an_older_head_proves_what_came_before_it_and_lets_more_follow() {
    let events = five();
    let older = Some(ChainHead::from(&events[1]));
    assert_eq!(
        verify_event_chain(&blocks(&events), older).unwrap().len(),
        5
    );
}

#[test]
fn a_rewritten_history_is_a_fork_when_the_head_is_known_and_unseen_otherwise() {
    let events = five();
    let rewritten = history(
        "node-1",
        &[vec![registered("other")]],
        &SealOptions::default(),
    );
    verify_event_chain(&blocks(&rewritten), None).unwrap();
    let found = verdict(&blocks(&rewritten), Some(ChainHead::from(&events[0])));
    assert!(
        matches!(found.fault, Fault::Fork { other, .. } if other == events[0].cid),
        "{found:?}"
    );
}

#[test]
fn a_second_event_for_a_sequence_is_a_fork_wherever_it_stands() {
    let events = five();
    for index in 1..5 {
        let other = forged(&events[index], |envelope| envelope.schema = 9);
        for place in index + 1..=5 {
            let mut changed = blocks(&events);
            changed.insert(place, other.clone());
            let found = verdict(&changed, head(&events));
            assert!(
                matches!(&found, Verdict { place, fault: Fault::Fork { other: kept } }
                    if place.cid == other.cid && *kept == events[index].cid),
                "{index} at {place}: {found:?}"
            );
        }
    }
}

#[test]
fn an_event_of_another_aggregate_is_named_with_both() {
    let events = five();
    for change in [
        (|envelope| envelope.aggregate_id = "node-2".to_owned()) as fn(&mut Envelope),
        |envelope| envelope.aggregate = "infrastructure.network".to_owned(),
    ] {
        let mut changed = blocks(&events);
        changed[1] = forged(&events[1], change);
        let found = verdict(&changed, None);
        let Verdict {
            place,
            fault: Fault::WrongAggregate { expected, .. },
        } = &found
        else {
            panic!("{found:?}")
        };
        assert_eq!(expected, "infrastructure.compute node-1");
        assert_eq!(place.sequence, Some(2));
    }
}

#[test]
fn a_link_to_anything_but_the_predecessor_is_a_mismatch() {
    let events = five();
    for wrong in [None, Some(events[4].cid)] {
        let mut changed = blocks(&events);
        changed[1] = forged(&events[1], |envelope| envelope.previous = wrong);
        let found = verdict(&changed, None);
        let Fault::PreviousMismatch { expected, found } = found.fault else {
            panic!("{found:?}")
        };
        assert_eq!((expected, found), (Some(events[0].cid), wrong));
    }
    let mut changed = blocks(&events);
    changed[0] = forged(&events[0], |envelope| {
        envelope.previous = Some(events[4].cid)
    });
    let found = verdict(&changed, None);
    assert!(
        matches!(found.fault, Fault::PreviousMismatch { expected: None, .. }),
        "{found:?}"
    );
}

#[test]
fn a_block_that_hashes_right_but_is_not_canonical_says_where() {
    let events = five();
    let event = &events[0];
    let envelope = event.envelope_bytes();
    // The format, 1, written in two bytes.
    let at = envelope
        .windows(3)
        .position(|window| window == [0x61, b'v', 1])
        .unwrap()
        + 2;
    let long = [&envelope[..at], &[0x18], &envelope[at..]].concat();
    let body = [&[0x82], &long[..], event.payload()].concat();
    let changed = [EventBlock {
        cid: HashCode::Sha2_256.cid(&long),
        body: body.into(),
    }];
    let found = verdict(&changed, None);
    let Fault::NotCanonical { reason } = &found.fault else {
        panic!("{found:?}")
    };
    assert!(
        reason.contains("`v`") && reason.contains("shortest"),
        "{reason}"
    );
    // The framing of the body, which no CID covers.
    let body = [&[0x98, 2], &event.body()[1..]].concat();
    let changed = [EventBlock {
        cid: event.cid,
        body: body.into(),
    }];
    let found = verdict(&changed, None);
    assert!(
        matches!(found.fault, Fault::NotCanonical { .. }),
        "{found:?}"
    );
}

#[test]
fn a_payload_that_hashes_right_but_is_not_canonical_says_where() {
    let events = five();
    for (payload, shown) in [
        (
            &[0xa1, 0x61, b'a', 0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0][..],
            "`a`",
        ),
        (&[0xa2, 0x61, b'b', 1, 0x61, b'a', 1][..], "sorted"),
        (&[0xa0, 0xa0][..], "behind"),
        (&[0x80][..], "no map"),
        (&[0xbf, 0xff][..], "definite"),
    ] {
        let block = forged(&events[0], |envelope| {
            envelope.payload = HashCode::Sha2_256.cid(payload);
        });
        let envelope_end = block.body.len() - events[0].payload().len();
        let body: Bytes = [&block.body[..envelope_end], payload].concat().into();
        let found = verdict(&[EventBlock { body, ..block }], None);
        let Fault::NotCanonical { reason } = &found.fault else {
            panic!("{found:?}")
        };
        assert!(reason.contains(shown), "{reason}");
    }
}

#[test]
fn an_envelope_of_a_newer_format_is_not_guessed_at() {
    let found = verdict(&[forged(&five()[0], |envelope| envelope.format = 2)], None);
    let Fault::NotCanonical { reason } = &found.fault else {
        panic!("{found:?}")
    };
    assert!(
        reason.contains("format 2") && reason.contains("newer program"),
        "{reason}"
    );
}

#[test]
fn an_event_without_its_payload_is_told_from_tampering() {
    let events = five();
    let envelope = events[0].envelope_bytes();
    for body in [
        [&[0x82], envelope, &[0xf6]].concat(),
        [&[0x82], envelope].concat(),
        [&[0x81], envelope].concat(),
        envelope.to_vec(),
    ] {
        let mut changed = blocks(&events);
        changed[0].body = body.into();
        let found = verdict(&changed, None);
        let Verdict {
            place,
            fault: Fault::PayloadMissing { payload },
        } = found
        else {
            panic!("{found:?}")
        };
        assert_eq!(payload, events[0].envelope.payload);
        assert_eq!(place.sequence, Some(1));
    }
}

#[test]
fn the_chain_of_envelopes_is_proved_without_the_payloads() {
    let events = five();
    let envelopes: Vec<_> = events.iter().map(EnvelopeBlock::from).collect();
    let proved = verify_envelope_chain(&envelopes, head(&events)).unwrap();
    assert_eq!(
        proved
            .iter()
            .map(|envelope| envelope.sequence)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    for index in 0..5 {
        for at in 0..envelopes[index].bytes.len() {
            let mut changed = envelopes.clone();
            let mut bytes = changed[index].bytes.to_vec();
            bytes[at] ^= 0x01;
            changed[index].bytes = bytes.into();
            let found = verify_envelope_chain(&changed, head(&events)).unwrap_err();
            assert!(
                matches!(found.fault, Fault::Tampered { .. }),
                "{index}, byte {at}: {found:?}"
            );
        }
        let mut changed = envelopes.clone();
        changed.remove(index);
        verify_envelope_chain(&changed, head(&events)).unwrap_err();
    }
}

#[test]
fn a_parent_is_known_from_the_chain_or_from_the_caller() {
    let elsewhere = history("other", &[vec![Event::Rebooted]], &SealOptions::default());
    let mut events = five();
    let parents = [elsewhere[0].cid, events[1].cid];
    let event = NewEvent::of(&Event::Rebooted)
        .unwrap()
        .with_parents(parents);
    let commit = request(77, 1).aggregate(key("node-1"), ExpectedVersion::Exactly(5), vec![event]);
    let sealed = seal(
        commit,
        &[events.last().map(StoredEvent::head)],
        &SealOptions::default(),
    )
    .unwrap();
    events.extend(
        sealed
            .into_iter()
            .map(|event| event.into_stored(cim_es::store::Position(6))),
    );
    verify_event_chain(&blocks(&events), head(&events)).unwrap();
    let knows = |cid: &Cid| *cid == elsewhere[0].cid;
    verify_event_chain_with_parents(&blocks(&events), head(&events), knows).unwrap();
    let found =
        verify_event_chain_with_parents(&blocks(&events), head(&events), |_| false).unwrap_err();
    let Verdict {
        place,
        fault: Fault::MissingParent { parent },
    } = found
    else {
        panic!("{found:?}")
    };
    assert_eq!((parent, place.sequence), (elsewhere[0].cid, Some(6)));
}

#[test]
fn a_verifier_goes_on_behind_a_known_event_and_from_a_sequence() {
    let events = five();
    let mut behind = ChainVerifier::after(&key("node-1"), ChainHead::from(&events[2]));
    behind.accept(&events[3]).unwrap();
    behind.accept(&events[4]).unwrap();
    assert_eq!(behind.finish(), Ok(Some(ChainHead::from(&events[4]))));
    let mut wrong = ChainVerifier::after(
        &key("node-1"),
        ChainHead {
            sequence: 3,
            cid: events[0].cid,
        },
    );
    let found = wrong.accept(&events[3]).unwrap_err();
    assert!(
        matches!(found.fault, Fault::PreviousMismatch { .. }),
        "{found:?}"
    );
    let mut forked = ChainVerifier::after(
        &key("node-1"),
        ChainHead {
            sequence: 4,
            cid: events[0].cid,
        },
    );
    let found = forked.accept(&events[3]).unwrap_err();
    assert!(matches!(found.fault, Fault::Fork { .. }), "{found:?}");
    let mut from = ChainVerifier::from_sequence(&key("node-1"), 4);
    from.accept(&events[3]).unwrap();
    from.accept(&events[4]).unwrap();
    let mut from = ChainVerifier::from_sequence(&key("node-1"), 3);
    let found = from.accept(&events[3]).unwrap_err();
    assert!(
        matches!(
            found.fault,
            Fault::Gap {
                expected: 3,
                found: 4,
                ..
            }
        ),
        "{found:?}"
    );
    let found = ChainVerifier::new(&key("node-2"))
        .accept(&events[0])
        .unwrap_err();
    assert!(
        matches!(found.fault, Fault::WrongAggregate { .. }),
        "{found:?}"
    );
}

fn head_at(events: &[StoredEvent], sequence: u64) -> ChainHead {
    let cid = events[sequence.saturating_sub(1) as usize].cid;
    ChainHead { sequence, cid }
}

fn walk(mut chain: ChainVerifier<'_>, events: &[StoredEvent]) -> Result<(), Verdict> {
    for event in events {
        chain.accept(event)?;
    }
    chain.finish().map(drop)
}

#[test]
fn a_head_that_the_walk_cannot_meet_is_refused() {
    let events = five();
    let node = key("node-1");
    let before_start = |found: Result<(), Verdict>, head: u64, first: u64| {
        let missing = Truncation::BeforeStart { head, first };
        assert!(
            matches!(&found, Err(verdict) if verdict.fault == Fault::Truncated { missing }),
            "{head} from {first}: {found:?}"
        );
    };
    for events in [&events[3..], &[]] {
        let after = || ChainVerifier::after(&node, head_at(&five(), 3));
        before_start(walk(after().expecting(head_at(&five(), 2)), events), 2, 4);
        let from = || ChainVerifier::from_sequence(&node, 4);
        before_start(walk(from().expecting(head_at(&five(), 1)), events), 1, 4);
        before_start(walk(from().expecting(head_at(&five(), 0)), events), 0, 4);
        before_start(walk(after().expecting(head_at(&five(), 0)), events), 0, 4);
    }
    let none = head_at(&events, 0);
    before_start(
        walk(ChainVerifier::new(&node).expecting(none), &events),
        0,
        1,
    );
    before_start(
        walk(ChainVerifier::of_any_aggregate().expecting(none), &[]),
        0,
        1,
    );
    assert!(verify_event_chain(&blocks(&events), Some(none)).is_err());
    assert!(verify_event_chain(&[], Some(none)).is_err());
    let mut late = ChainVerifier::new(&node);
    late.accept(&events[0]).unwrap();
    late.accept(&events[1]).unwrap();
    before_start(
        walk(late.expecting(head_at(&events, 1)), &events[2..]),
        1,
        3,
    );
    // No history follows an event that cannot be.
    let mut forged = events[0].envelope.clone();
    forged.previous = Some(events[4].cid);
    let mut after = ChainVerifier::after(&node, head_at(&events, 0));
    assert!(
        after
            .accept_envelope(events[0].position, events[0].cid, &forged)
            .is_err()
    );
}

#[test]
fn a_head_just_before_the_walk_is_met_by_the_link_to_it() {
    let events = five();
    let node = key("node-1");
    let third = head_at(&events, 3);
    let other = ChainHead {
        cid: events[0].cid,
        ..third
    };
    let after = || ChainVerifier::after(&node, third);
    walk(after().expecting(third), &events[3..]).unwrap();
    walk(after().expecting(third), &[]).unwrap();
    let found = walk(after().expecting(other), &events[3..]).unwrap_err();
    assert!(matches!(found.fault, Fault::Fork { .. }), "{found:?}");
    let from = || ChainVerifier::from_sequence(&node, 4);
    walk(from().expecting(third), &events[3..]).unwrap();
    let found = walk(from().expecting(other), &events[3..]).unwrap_err();
    assert!(
        matches!(found.fault, Fault::PreviousMismatch { .. }),
        "{found:?}"
    );
    let found = walk(from().expecting(third), &[]).unwrap_err();
    assert!(matches!(found.fault, Fault::Truncated { .. }), "{found:?}");
}

#[test]
fn each_of_several_heads_must_be_met() {
    let events = five();
    let wrong = ChainHead {
        sequence: 2,
        cid: events[0].cid,
    };
    let (second, last) = (head_at(&events, 2), head_at(&events, 5));
    let chain = || ChainVerifier::of_any_aggregate();
    walk(chain().expecting(second).expecting(last), &events).unwrap();
    for (one, other) in [(wrong, last), (last, wrong)] {
        let found = walk(chain().expecting(one).expecting(other), &events).unwrap_err();
        assert!(matches!(found.fault, Fault::Fork { .. }), "{found:?}");
    }
    let found = walk(chain().expecting(second).expecting(last), &events[..4]).unwrap_err();
    assert!(matches!(found.fault, Fault::Truncated { .. }), "{found:?}");
}

#[test]
fn a_history_does_not_go_on_behind_the_last_sequence_and_has_one_beginning() {
    let events = five();
    let node = key("node-1");
    let cid = events[3].cid;
    let end = ChainHead {
        sequence: u64::MAX,
        cid,
    };
    let mut forged = events[4].envelope.clone();
    (forged.sequence, forged.previous) = (u64::MAX, Some(cid));
    let mut chain = ChainVerifier::after(&node, end);
    assert!(
        chain
            .accept_envelope(events[4].position, events[4].cid, &forged)
            .is_err()
    );
    assert_eq!(chain.finish(), Ok(None));
    let mut rootless = events[3].envelope.clone();
    rootless.previous = None;
    let mut chain = ChainVerifier::from_sequence(&node, 4);
    let found = chain
        .accept_envelope(events[3].position, cid, &rootless)
        .unwrap_err();
    assert!(
        matches!(found.fault, Fault::NotCanonical { .. }),
        "{found:?}"
    );
}

#[test]
fn a_commit_that_is_broken_off_in_the_middle_of_a_history_is_seen() {
    let events = five();
    let mut chain = ChainVerifier::of_any_aggregate();
    chain.accept(&events[0]).unwrap();
    let broken = forged(&events[1], |envelope| envelope.commit = [1, 3, 1, 3].into());
    let broken = StoredEvent::verify(events[1].position, broken.cid, broken.body).unwrap();
    chain.accept(&broken).unwrap();
    let next = forged(&events[2], |envelope| envelope.previous = Some(broken.cid));
    let next = StoredEvent::verify(events[2].position, next.cid, next.body).unwrap();
    let found = chain.accept(&next).unwrap_err();
    let missing = Truncation::Commit { index: 1, count: 3 };
    assert!(
        matches!(found.fault, Fault::Truncated { missing: m } if m == missing),
        "{found:?}"
    );
}

/// Two aggregates in one commit, between two commits of their own: `a`, then `a b a`, then `b`.
fn mixed() -> Vec<StoredEvent> {
    let one = history("node-1", &[vec![Event::Rebooted]], &SealOptions::default());
    let request = request(9, 1_769_860_800_000_009)
        .aggregate(key("node-1"), ExpectedVersion::Any, rebooted(2))
        .aggregate(key("node-2"), ExpectedVersion::Any, rebooted(1));
    let sealed = seal(
        request,
        &[Some(one[0].head()), None],
        &SealOptions::default(),
    )
    .unwrap();
    let place = |(at, event): (usize, cim_es::store::SealedEvent)| {
        event.into_stored(cim_es::store::Position(at as u64 + 2))
    };
    let both: Vec<_> = sealed.into_iter().enumerate().map(place).collect();
    let last = history("node-3", &[vec![Event::Rebooted]], &SealOptions::default());
    [one, both, last].concat()
}

fn rebooted(count: usize) -> Vec<NewEvent> {
    vec![NewEvent::of(&Event::Rebooted).unwrap(); count]
}

fn commits<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Result<Vec<bool>, Verdict> {
    let mut verifier = CommitVerifier::new();
    let ends = events.into_iter().map(|event| verifier.accept(event));
    let ends = ends.collect::<Result<_, _>>()?;
    verifier.finish()?;
    Ok(ends)
}

#[test]
fn commits_over_several_aggregates_are_told_apart_by_what_their_events_say() {
    let events = mixed();
    let parts: Vec<[u32; 4]> = events
        .iter()
        .map(|event| event.envelope.commit.into())
        .collect();
    let expected = [[1; 4], [1, 2, 1, 3], [2, 2, 2, 3], [1, 1, 3, 3], [1; 4]];
    assert_eq!(parts, expected);
    assert_eq!(commits(&events), Ok(vec![true, false, false, true, true]));
    // Two commits of one message may stand side by side.
    let twice = [
        &events[1], &events[2], &events[3], &events[1], &events[2], &events[3],
    ];
    assert_eq!(
        commits(twice),
        Ok(vec![false, false, true, false, false, true])
    );
}

#[test]
fn a_commit_over_several_aggregates_that_lacks_an_event_is_seen() {
    let events = mixed();
    for missing in 1..=3 {
        let mut cut = events.clone();
        cut.remove(missing);
        let found = commits(&cut).unwrap_err();
        assert!(
            matches!(
                found.fault,
                Fault::Truncated { .. } | Fault::CommitMismatch { .. }
            ),
            "without {missing}: {found:?}"
        );
    }
    for end in 2..=3 {
        let found = commits(&events[..end]).unwrap_err();
        assert!(matches!(found.fault, Fault::Truncated { .. }), "{found:?}");
    }
}

#[test]
fn events_of_a_commit_that_contradict_each_other_are_a_mismatch() {
    let events = mixed();
    type Change = fn(&mut Envelope);
    let changes: [(&str, usize, Change); 6] = [
        ("another count", 2, |it| it.commit = [2, 3, 2, 3].into()),
        ("another whole count", 2, |it| {
            it.commit = [2, 2, 2, 4].into()
        }),
        ("a place that is taken", 3, |it| {
            it.commit = [1, 1, 2, 3].into()
        }),
        ("no room for the second of an aggregate", 2, |it| {
            it.aggregate_id = "node-9".into();
            it.commit = [1, 2, 2, 3].into();
        }),
        ("a later event of an aggregate without the first", 3, |it| {
            it.commit = [2, 2, 3, 3].into()
        }),
        ("another time", 3, |it| {
            it.timestamp = Timestamp::from_micros(1)
        }),
    ];
    for (shows, at, change) in changes {
        let mut changed = events.clone();
        change(&mut changed[at].envelope);
        let found = commits(&changed).unwrap_err();
        assert!(
            matches!(found.fault, Fault::CommitMismatch { .. }),
            "{shows}: {found:?}"
        );
    }
    let mut chain = ChainVerifier::new(&key("node-1"));
    chain.accept(&events[0]).unwrap();
    chain.accept(&events[1]).unwrap();
    for part in [[2, 3, 2, 3], [2, 2, 1, 3], [2, 2, 2, 4]] {
        let mut changed = events[2].clone();
        changed.envelope.commit = part.into();
        let found = chain.accept(&changed).unwrap_err();
        assert!(
            matches!(found.fault, Fault::CommitMismatch { .. }),
            "{part:?}: {found:?}"
        );
    }
    let mut later = events[2].clone();
    later.envelope.timestamp = Timestamp::from_micros(i64::MAX);
    let found = chain.accept(&later).unwrap_err();
    assert_eq!(
        found.fault.to_string(),
        "does not go on with its commit: event 2 of 2 of its aggregate, 2 of 3 of the commit, \
         after event 1 of 2 of its aggregate, 1 of 3 of the commit"
    );
    chain.accept(&events[2]).unwrap();
}

#[test]
fn a_verdict_reads_as_a_sentence_that_names_the_event_and_its_place() {
    let events = five();
    let mut changed = blocks(&events);
    changed.remove(2);
    let text = verdict(&changed, None).to_string();
    let cid = events[3].cid;
    assert_eq!(
        text,
        format!(
            "event {cid} at position 3 (sequence 4) leaves a gap: sequence 3 was to follow, found 4"
        )
    );
    let damage = verdict(&changed, None).into_damage(Location::from(Path::new("events.db")));
    assert_eq!(damage.to_string(), "events.db is damaged");
    assert_eq!(
        ErrorChain(&damage).to_string(),
        format!("events.db is damaged: {text}")
    );
    let StoreError::Damaged(damage) = damage else {
        panic!("{damage:?}")
    };
    let fault = damage.verdict().map(|verdict| &verdict.fault);
    let gap = Fault::Gap {
        expected: 3,
        found: 4,
    };
    assert_eq!(fault, Some(&gap), "a program can tell what it is");
}

#[test]
fn an_encrypted_payload_may_be_bytes_and_is_covered_by_its_link() {
    let events = five();
    let ciphertext = [&[0x58, 32][..], &[9; 32]].concat();
    let block = forged(&events[0], |envelope| {
        envelope.payload = HashCode::Sha2_256.cid(&ciphertext);
        let key = (
            "key".to_owned(),
            ipld_core::ipld::Ipld::Bytes(vec![1, 2, 3]),
        );
        envelope.encryption = Some([key].into());
    });
    let envelope_end = block.body.len() - events[0].payload().len();
    let body: Bytes = [&block.body[..envelope_end], &ciphertext].concat().into();
    let sealed = EventBlock {
        body: body.clone(),
        ..block
    };
    let proved = verify_event_chain(std::slice::from_ref(&sealed), None).unwrap();
    assert_eq!(proved[0].payload(), ciphertext);
    assert!(proved[0].envelope.encryption.is_some());
    for at in 0..body.len() {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        let changed = EventBlock {
            body: changed.into(),
            ..sealed.clone()
        };
        let found = verdict(&[changed], None);
        assert!(
            matches!(found.fault, Fault::Tampered { .. }),
            "byte {at}: {found:?}"
        );
    }
}

#[test]
fn an_envelope_that_breaks_its_own_rules_is_not_canonical() {
    let events = five();
    let (mut first, mut second) = (events[1].cid, events[2].cid);
    if first.to_bytes() > second.to_bytes() {
        (first, second) = (second, first);
    }
    let foreign = Cid::new_v1(0x55, *events[0].envelope.payload.hash());
    type Change = Box<dyn FnOnce(&mut Envelope)>;
    let cases: [(&str, Change); 13] = [
        (
            "parents",
            Box::new(move |envelope| envelope.parents = vec![first, first]),
        ),
        (
            "parents",
            Box::new(move |envelope| envelope.parents = vec![second, first]),
        ),
        (
            "commit",
            Box::new(|envelope| envelope.commit = [0, 1, 1, 1].into()),
        ),
        (
            "commit",
            Box::new(|envelope| envelope.commit = [2, 1, 1, 1].into()),
        ),
        (
            "commit",
            Box::new(|envelope| envelope.commit = [1, 1, 0, 1].into()),
        ),
        (
            "commit",
            Box::new(|envelope| envelope.commit = [1, 1, 3, 2].into()),
        ),
        (
            "commit: more of its aggregate than of the commit",
            Box::new(|envelope| envelope.commit = [1, 2, 1, 1].into()),
        ),
        (
            "commit: no room for those before it",
            Box::new(|envelope| envelope.commit = [2, 2, 1, 4].into()),
        ),
        (
            "commit: no room for those behind it",
            Box::new(|envelope| envelope.commit = [1, 2, 4, 4].into()),
        ),
        (
            "meta",
            Box::new(|envelope| envelope.meta.insert("text", "a".repeat(2_048))),
        ),
        ("sequence", Box::new(|envelope| envelope.sequence = 0)),
        (
            "payload",
            Box::new(move |envelope| envelope.payload = foreign),
        ),
        (
            "previous",
            Box::new(move |envelope| envelope.previous = Some(foreign)),
        ),
    ];
    for (field, change) in cases {
        let found = verdict(&[forged(&events[0], change)], None);
        let Fault::NotCanonical { reason } = &found.fault else {
            panic!("{field}: {found:?}")
        };
        let (named, _) = field.split_once(':').unwrap_or((field, ""));
        assert!(reason.contains(named), "{field}: {reason}");
    }
}

#[test]
fn an_event_at_the_end_of_the_largest_commit_is_no_panic() {
    let events = five();
    let mut chain = ChainVerifier::from_sequence(&key("node-1"), 4);
    let last = Envelope {
        commit: [u32::MAX; 4].into(),
        ..events[3].envelope.clone()
    };
    let position = events[3].position;
    chain
        .accept_envelope(position, events[3].cid, &last)
        .unwrap();
    chain.accept(&events[4]).unwrap();
}
