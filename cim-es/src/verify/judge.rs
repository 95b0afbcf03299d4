//! What each block of a page proves to be: the work that is done by several threads.

use bytes::Bytes;
use cid::Cid;

use super::shown::Shown;
use crate::block::{
    HashCode, Position, ShortCid, StoredEvent, delimited_envelope, prove, read_envelope_ref,
};
use crate::store::raw::{Beside, Name, RawBlock, RawItem, RawLinks, RawPage, SoundPart};
use crate::store::{Damage, Location};

/// A page of which every block was proved or refused.
pub(super) struct JudgedPage {
    pub(super) items: Vec<Judged>,
    pub(super) reached: Position,
    pub(super) removed: u64,
    pub(super) lists_have_kinds: bool,
    pub(super) sound: Option<SoundPart>,
}

/// What stands at a position, or at several.
#[expect(
    clippy::large_enum_variant,
    reason = "in a sound store each is the large one"
)]
pub(super) enum Judged {
    Block(JudgedBlock),
    Unreadable {
        damage: Box<Damage>,
        until: Position,
    },
}

impl Judged {
    /// The aggregate that it names.
    pub(super) fn name(&self) -> Option<&Name> {
        match self {
            Self::Block(block) => match &block.proof {
                Proof::Envelope(event) => Some(&event.name),
                Proof::Nothing(_) => None,
            },
            Self::Unreadable { .. } => None,
        }
    }
}

pub(super) struct JudgedBlock {
    pub(super) position: Position,
    pub(super) bytes: u64,
    pub(super) removed: u64,
    pub(super) links: Option<RawLinks>,
    pub(super) proof: Proof,
    /// What is wrong with the block, or with what stands beside it.
    pub(super) damage: Option<Box<Damage>>,
}

/// What is known of an event.
pub(super) enum Proof {
    /// What its envelope says; the payload may be damaged all the same.
    Envelope(Shown),
    /// Nothing but the CIDs by which the next event may link to it.
    Nothing(Box<[Option<Cid>; 2]>),
}

pub(super) fn judge(page: RawPage, location: &Location) -> JudgedPage {
    let RawPage {
        items,
        reached,
        removed,
        lists_have_kinds,
        beside,
        sound,
    } = page;
    let judged = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| match item {
            RawItem::Unreadable { damage, until } => Judged::Unreadable { damage, until },
            RawItem::Block(block) => Judged::Block(judge_block(block, index, location, &beside)),
        });
    JudgedPage {
        items: judged.collect(),
        reached,
        removed,
        lists_have_kinds,
        sound,
    }
}

fn judge_block(block: RawBlock, index: usize, location: &Location, beside: &Beside) -> JudgedBlock {
    let RawBlock {
        position,
        cid,
        body,
        removed,
        links,
    } = block;
    let bytes = body.len() as u64;
    let (proof, damage) = match cid {
        Err(reason) => {
            let damage = Damage::new(location.clone(), position, None, reason);
            (
                Proof::Nothing(Box::new([None, own_cid(&body)])),
                Some(damage),
            )
        }
        Ok(short) => match prove(&short, &body) {
            Some((envelope, _)) => {
                let name = Name::of(envelope.aggregate, envelope.aggregate_id);
                let wrong = beside(index, &envelope, &name);
                let damage = wrong.map(|reason| {
                    let damage = Damage::new(location.clone(), position, short.cid(), reason);
                    damage.in_history_of(&envelope.aggregate_key())
                });
                let shown = Shown::of(position, short, name, &envelope, &body);
                (
                    shown.map_or_else(|| nothing(short.cid(), &body), Proof::Envelope),
                    damage,
                )
            }
            None => refused(position, short, &body, location),
        },
    };
    JudgedBlock {
        position,
        bytes,
        removed,
        links,
        proof,
        damage: damage.map(Box::new),
    }
}

/// What is left of a block that was not proved, and what is wrong with it.
fn refused(
    position: Position,
    short: ShortCid,
    body: &Bytes,
    location: &Location,
) -> (Proof, Option<Damage>) {
    let cid = short.cid();
    let proof = half_proved(position, short, body);
    let verdict = StoredEvent::verify(position, cid, body.clone()).err();
    let damage = verdict.map(|verdict| {
        let damage = Damage::of(verdict, location.clone());
        match &proof {
            Proof::Envelope(shown) => damage.in_history_of(&shown.aggregate_key()),
            Proof::Nothing(_) => damage,
        }
    });
    (proof, damage)
}

/// What is left to be known of a block that was refused: its envelope, where that is what the CID
/// says.
fn half_proved(position: Position, cid: ShortCid, body: &Bytes) -> Proof {
    let shown = delimited_envelope(body)
        .filter(|block| cid.is_of(block))
        .and_then(|block| {
            let envelope = read_envelope_ref(block).ok()?;
            let name = Name::of(envelope.aggregate, envelope.aggregate_id);
            Shown::of(position, cid, name, &envelope, body)
        });
    shown.map_or_else(|| nothing(cid.cid(), body), Proof::Envelope)
}

fn nothing(cid: Cid, body: &[u8]) -> Proof {
    Proof::Nothing(Box::new([Some(cid), own_cid(body)]))
}

/// The CID of what stands where the envelope belongs.
fn own_cid(body: &[u8]) -> Option<Cid> {
    delimited_envelope(body).map(|envelope| HashCode::Sha2_256.cid(envelope))
}
