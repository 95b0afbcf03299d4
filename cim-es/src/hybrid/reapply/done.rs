//! What the stream has already of what was done here: by an answer that came late, by an older copy of the file, or by
//! another node that got the same command.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::block::{Cid, StoredEvent};
use crate::hybrid::replace::Sides;
use crate::store::AggregateKey;

/// What the messages of the stream did to the aggregates that diverged.
pub(super) struct Done {
    /// The events of a message that no event of this side was compared with yet.
    effects: HashMap<(AggregateKey, Uuid), Vec<Effect>>,
    /// Up to which version of this side a function of the author's has said what follows.
    answered: HashMap<AggregateKey, u64>,
}

/// An event of the stream.
struct Effect {
    id: Uuid,
    event_type: String,
    schema: u32,
    payload: Cid,
}

/// What a message did in the stream, beside what it did here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// The same.
    Same,
    /// Something else: the command was decided on both sides.
    Other,
}

impl Done {
    pub(super) fn of(sides: &Sides) -> Self {
        let mut effects: HashMap<_, Vec<_>> = HashMap::new();
        let mut linked = HashSet::new();
        for event in sides.theirs() {
            let message = (AggregateKey::of_event(event), event.envelope.causation_id);
            let effect = Effect {
                id: event.envelope.id,
                event_type: event.event_type().to_owned(),
                schema: event.envelope.schema,
                payload: event.envelope.payload,
            };
            effects.entry(message).or_default().push(effect);
            linked.extend(event.envelope.parents.iter().copied());
        }
        let mut answered: HashMap<AggregateKey, u64> = HashMap::new();
        for event in sides.ours().into_iter().flatten() {
            if linked.contains(&event.cid) {
                let version = answered.entry(AggregateKey::of_event(event)).or_default();
                *version = event.envelope.sequence.max(*version);
            }
        }
        Self { effects, answered }
    }

    /// What the message of an event of this side did to its aggregate in the stream; none where it did nothing there.
    pub(super) fn has(&mut self, event: &StoredEvent, is_by_the_author: bool) -> Option<There> {
        let aggregate = AggregateKey::of_event(event);
        let envelope = &event.envelope;
        if is_by_the_author {
            let answered = self.answered.get(&aggregate)?;
            return (envelope.sequence <= *answered).then_some(There::Same);
        }
        let effects = self.effects.get_mut(&(aggregate, envelope.causation_id))?;
        let is_same = |it: &Effect| {
            let is_newer_form = it.id == envelope.id && it.schema != envelope.schema;
            let is_equal = it.payload == envelope.payload || is_newer_form;
            is_equal && it.event_type == event.event_type()
        };
        match effects.iter().position(is_same) {
            Some(at) => {
                effects.swap_remove(at);
                Some(There::Same)
            }
            None => Some(There::Other),
        }
    }
}
