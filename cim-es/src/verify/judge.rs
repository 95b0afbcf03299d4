//! What each block of a page proves to be: the work that is done by several threads.

use cid::Cid;

use super::heads::Name;
use crate::block::{
    Envelope, HashCode, Place, Position, StoredEvent, Verdict, delimited_envelope, read_envelope,
    verify_cid,
};
use crate::store::raw::{RawBlock, RawItem, RawLinks, RawPage};
use crate::store::{Damage, Location};

/// A page of which every block was proved or refused.
pub(super) struct JudgedPage {
    pub(super) items: Vec<Judged>,
    pub(super) reached: Position,
    pub(super) removed: u64,
    pub(super) lists_have_kinds: bool,
}

/// What stands at a position, or at several.
pub(super) enum Judged {
    Block(Box<JudgedBlock>),
    Unreadable {
        damage: Box<Damage>,
        until: Position,
    },
}

pub(super) struct JudgedBlock {
    pub(super) position: Position,
    pub(super) bytes: u64,
    pub(super) removed: u64,
    pub(super) links: Option<RawLinks>,
    pub(super) proof: Proof,
    /// What is wrong with the block, or with what stands beside it.
    pub(super) damage: Option<Damage>,
}

/// What is known of an event.
#[expect(
    clippy::large_enum_variant,
    reason = "in a sound store each is the large one"
)]
pub(super) enum Proof {
    /// Its envelope; the payload may be damaged all the same.
    Envelope {
        name: Name,
        place: Place,
        envelope: Envelope,
    },
    /// Nothing but the CIDs by which the next event may link to it.
    Nothing([Option<Cid>; 2]),
}

pub(super) fn judge(page: RawPage, location: &Location) -> JudgedPage {
    let RawPage {
        items,
        reached,
        removed,
        lists_have_kinds,
        beside,
    } = page;
    let judged = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| match item {
            RawItem::Unreadable { damage, until } => Judged::Unreadable { damage, until },
            RawItem::Block(block) => {
                let beside = |envelope: &Envelope| beside(index, envelope);
                Judged::Block(Box::new(judge_block(block, location, beside)))
            }
        });
    JudgedPage {
        items: judged.collect(),
        reached,
        removed,
        lists_have_kinds,
    }
}

fn judge_block(
    block: RawBlock,
    location: &Location,
    beside: impl Fn(&Envelope) -> Option<String>,
) -> JudgedBlock {
    let RawBlock {
        position,
        cid,
        body,
        removed,
        links,
    } = block;
    let bytes = body.len() as u64;
    let (proof, damage) = match cid {
        Ok(cid) => match StoredEvent::verify(position, cid, body.clone()) {
            Ok(event) => {
                let wrong = beside(&event.envelope);
                let place = event.place();
                let damage = wrong.map(|reason| {
                    let damage = Damage::new(location.clone(), position, cid, reason);
                    damage.in_history_of(&event.envelope.aggregate_key())
                });
                (known(place, event.envelope), damage)
            }
            Err(verdict) => {
                let proof = half_proved(position, cid, &body);
                let mut damage = Damage::of(verdict, location.clone());
                if let Proof::Envelope { envelope, .. } = &proof {
                    damage = damage.in_history_of(&envelope.aggregate_key());
                }
                (proof, Some(damage))
            }
        },
        Err(reason) => {
            let damage = Damage::new(location.clone(), position, None, reason);
            (Proof::Nothing([None, own_cid(&body)]), Some(damage))
        }
    };
    JudgedBlock {
        position,
        bytes,
        removed,
        links,
        proof,
        damage,
    }
}

fn known(place: Place, envelope: Envelope) -> Proof {
    Proof::Envelope {
        name: Name::of(&envelope.aggregate, &envelope.aggregate_id),
        place,
        envelope,
    }
}

/// What is left to be known of a block that was refused: its envelope, where that is what the CID
/// says.
fn half_proved(position: Position, cid: Cid, body: &[u8]) -> Proof {
    let envelope = delimited_envelope(body)
        .filter(|bytes| verify_cid(&cid, bytes))
        .and_then(|bytes| read_envelope(bytes).ok());
    match envelope {
        Some(envelope) => {
            let place = Place {
                cid,
                position,
                sequence: Some(envelope.sequence),
            };
            known(place, envelope)
        }
        None => Proof::Nothing([Some(cid), own_cid(body)]),
    }
}

/// The CID of what stands where the envelope belongs.
fn own_cid(body: &[u8]) -> Option<Cid> {
    delimited_envelope(body).map(|envelope| HashCode::Sha2_256.cid(envelope))
}

/// A verdict on an event of which the envelope is known.
pub(super) fn damage_of(verdict: Verdict, location: &Location, envelope: &Envelope) -> Damage {
    Damage::of(verdict, location.clone()).in_history_of(&envelope.aggregate_key())
}
