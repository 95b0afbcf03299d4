//! Unique names on the stream's history: an event that claims one which another holds there is not taken again.

use std::collections::HashMap;

use super::typed::HeldNames;
use crate::domain::ErrorChain;
use crate::domain::aggregate::UniqueName;
use crate::hybrid::HybridError;
use crate::repository::{Holder, NameEvent, held_by, name_event};
use crate::store::{AggregateKey, EventStore, Head, NewEvent, StoreError};

/// What is known of names in the stream, with what was taken again so far.
pub(super) struct Names<'a> {
    remote: &'a dyn EventStore,
    known: HashMap<AggregateKey, Known>,
}

#[derive(Clone)]
struct Known {
    head: Option<Head>,
    holder: Option<Holder>,
}

/// What becomes of names with some events; nothing of it counts before it is [kept](Names::keep).
#[derive(Default)]
pub(super) struct NameChanges {
    holders: HashMap<AggregateKey, Option<Holder>>,
    pub(super) events: Vec<(AggregateKey, NewEvent)>,
}

impl<'a> Names<'a> {
    pub(super) fn new(remote: &'a dyn EventStore) -> Self {
        Self {
            remote,
            known: HashMap::new(),
        }
    }

    /// The last event of a name in the stream.
    pub(super) fn head(&self, name: &AggregateKey) -> Option<Head> {
        self.known.get(name)?.head
    }

    pub(super) fn keep(&mut self, changes: &NameChanges) {
        for (name, holder) in &changes.holders {
            if let Some(known) = self.known.get_mut(name) {
                known.holder.clone_from(holder);
            }
        }
    }

    /// Releases the names that an aggregate no longer holds.
    pub(super) async fn release(
        &mut self,
        changes: &mut NameChanges,
        holder: &AggregateKey,
        [before, after]: &[HeldNames; 2],
    ) -> Result<Result<(), String>, HybridError> {
        let ours = Holder::of(holder);
        for (name, key) in before.iter().filter(|(name, _)| !after.contains_key(name)) {
            if self.holder(changes, key).await?.as_ref() == Some(&ours)
                && let Err(reason) = changes.add(key, NameEvent::Released, name, &ours)
            {
                return Ok(Err(reason));
            }
        }
        Ok(Ok(()))
    }

    /// Reserves the names that an aggregate holds now. The reason where one is another's.
    pub(super) async fn claim(
        &mut self,
        changes: &mut NameChanges,
        holder: &AggregateKey,
        [before, after]: &[HeldNames; 2],
    ) -> Result<Result<(), String>, HybridError> {
        let ours = Holder::of(holder);
        for (name, key) in after.iter().filter(|(name, _)| !before.contains_key(name)) {
            match self.holder(changes, key).await? {
                Some(held) if held == ours => {}
                Some(held) => return Ok(Err(format!("{name} is held by {held} in the stream"))),
                None => {
                    if let Err(reason) = changes.add(key, NameEvent::Reserved, name, &ours) {
                        return Ok(Err(reason));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    async fn holder(
        &mut self,
        changes: &NameChanges,
        name: &AggregateKey,
    ) -> Result<Option<Holder>, HybridError> {
        if let Some(holder) = changes.holders.get(name) {
            return Ok(holder.clone());
        }
        if let Some(known) = self.known.get(name) {
            return Ok(known.holder.clone());
        }
        let last = self.remote.last(name).await?;
        let holder = match &last {
            Some(last) => held_by(name, last).map_err(StoreError::from)?,
            None => None,
        };
        let known = Known {
            head: last.map(|last| last.head()),
            holder: holder.clone(),
        };
        self.known.insert(name.clone(), known);
        Ok(holder)
    }
}

impl NameChanges {
    fn add(
        &mut self,
        key: &AggregateKey,
        what: NameEvent,
        name: &UniqueName,
        ours: &Holder,
    ) -> Result<(), String> {
        let event = name_event(key, what, name, ours);
        let event = event.map_err(|error| ErrorChain(&error).to_string())?;
        self.events.push((key.clone(), event));
        let holder = matches!(what, NameEvent::Reserved).then(|| ours.clone());
        self.holders.insert(key.clone(), holder);
        Ok(())
    }
}
