//! What every stream must be, whoever wrote to it.

use std::collections::{BTreeMap, HashMap, HashSet};

use cim_es::block::{ChainVerifier, Cid, StoredEvent};
use cim_es::prelude::*;

use super::super::ledger::{RELEASED, RESERVED, holder};

/// Each commit is there whole, side by side, and once.
pub fn whole_commits(events: &[StoredEvent], wrong: &mut Vec<String>) {
    let mut seen: HashSet<Uuid> = HashSet::new();
    let mut open: Option<&StoredEvent> = None;
    for event in events {
        let (id, part) = (event.envelope.causation_id, event.envelope.commit);
        let continues = open.is_some_and(|before| {
            before.envelope.causation_id == id
                && before.envelope.commit.whole_of == part.whole_of
                && before.envelope.commit.whole_index + 1 == part.whole_index
        });
        if !continues {
            open.inspect(|before| wrong.push(unfinished(before)));
            if part.whole_index != 1 {
                let at = event.position;
                wrong.push(format!("commit {id} begins in the middle at {at}: {part}"));
            }
            if !seen.insert(id) {
                wrong.push(format!(
                    "commit {id} is there a second time at {}",
                    event.position
                ));
            }
        }
        open = (!part.is_last_of_whole()).then_some(event);
    }
    open.inspect(|before| wrong.push(unfinished(before)));
}

fn unfinished(last: &StoredEvent) -> String {
    let (id, part) = (last.envelope.causation_id, last.envelope.commit);
    format!(
        "commit {id} is there in part, up to {}: {part}",
        last.position
    )
}

pub fn chains(events: &[StoredEvent], wrong: &mut Vec<String>) {
    let mut chains: BTreeMap<String, ChainVerifier> = BTreeMap::new();
    let mut cids: HashMap<Cid, u64> = HashMap::new();
    for event in events {
        if let Some(earlier) = cids.insert(event.cid, event.position.0) {
            wrong.push(format!(
                "event {} stands at {earlier} and again at {}",
                event.cid, event.position
            ));
        }
        let envelope = &event.envelope;
        let name = format!("{} {}", envelope.aggregate, envelope.aggregate_id);
        let chain = chains
            .entry(name)
            .or_insert_with(ChainVerifier::of_any_aggregate);
        if let Err(verdict) = chain.accept(event) {
            wrong.push(verdict.to_string());
        }
    }
    for (_, chain) in chains {
        if let Err(verdict) = chain.finish() {
            wrong.push(verdict.to_string());
        }
    }
}

/// A name has one holder at a time, who alone releases it.
pub fn names(events: &[StoredEvent], wrong: &mut Vec<String>) {
    let mut holders: HashMap<&str, Option<String>> = HashMap::new();
    for event in events {
        let at = event.position;
        let held = holders.entry(&event.envelope.aggregate_id).or_default();
        match event.event_type() {
            RESERVED => {
                let now = holder(event.payload());
                if let Some(before) = held.take() {
                    wrong.push(format!("a name of {before} goes to {now:?} at {at}"));
                }
                *held = now;
            }
            RELEASED => {
                let by = holder(event.payload());
                if *held != by {
                    wrong.push(format!("a name of {held:?} is released for {by:?} at {at}"));
                }
                *held = None;
            }
            _ => {}
        }
    }
}
