//! What happened to aggregates before the commands came, with the unique names that they hold by it.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::step::Setting;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::AggregateEvent;
use crate::domain::kept::{copy_of, initial};
use crate::domain::message::MessageIdentity;
use crate::repository::Repository;
use crate::store::{AggregateKey, CommitRequest, ExpectedVersion, NewEvent};
use crate::testing::survival::stored_form;

/// Histories, each of one aggregate.
#[derive(Clone, Default)]
pub(super) struct Pasts(Vec<Arc<dyn Past>>);

#[async_trait]
trait Past: Send + Sync {
    fn key(&self) -> &AggregateKey;
    fn as_any(&self) -> &dyn Any;
    async fn store(&self, setting: &Setting) -> Result<(), String>;
}

/// The history of an aggregate from some version on.
struct PastOf<A: Aggregate> {
    key: AggregateKey,
    version: u64,
    before: A,
    events: Vec<(NewEvent, A)>,
}

impl<A: Aggregate> Clone for PastOf<A> {
    fn clone(&self) -> Self {
        let copy = |(event, after): &(NewEvent, A)| (event.clone(), copy_of(after));
        Self {
            key: self.key.clone(),
            version: self.version,
            before: copy_of(&self.before),
            events: self.events.iter().map(copy).collect(),
        }
    }
}

impl<A: Aggregate> PastOf<A> {
    fn after(&self) -> &A {
        self.events.last().map_or(&self.before, |(_, after)| after)
    }

    fn last_version(&self) -> u64 {
        self.version + self.events.len() as u64
    }
}

impl Pasts {
    /// Adds events to the history of an aggregate, which goes on from what it has here, else from that in `earlier`.
    #[track_caller]
    pub(super) fn add<E>(
        &mut self,
        earlier: &Self,
        key: AggregateKey,
        events: impl IntoIterator<Item = E>,
    ) where
        E: AggregateEvent + Debug,
        E::Aggregate: Aggregate<Event = E>,
    {
        let place = self.0.iter().position(|past| *past.key() == key);
        let mut past = match place {
            Some(place) => of_type::<E::Aggregate>(&self.0[place]).clone(),
            None => {
                let earlier = earlier.0.iter().find(|past| *past.key() == key);
                let earlier = earlier.map(of_type::<E::Aggregate>);
                PastOf {
                    version: earlier.map_or(0, PastOf::last_version),
                    before: earlier.map_or_else(initial, |past| copy_of(past.after())),
                    events: Vec::new(),
                    key,
                }
            }
        };
        for event in events {
            let (stored, read_back) = stored_form(&event);
            let mut after = copy_of(past.after());
            if let Err(error) = after.apply(read_back) {
                panic!(
                    "given event {} of {} is not a possible history: {error}",
                    past.last_version() + 1,
                    past.key
                );
            }
            past.events.push((stored, after));
        }
        let past: Arc<dyn Past> = Arc::new(past);
        match place {
            Some(place) => self.0[place] = past,
            None => self.0.push(past),
        }
    }

    /// Stores all of them.
    ///
    /// # Errors
    /// What the store says, with the aggregate.
    pub(super) async fn store(&self, setting: &Setting) -> Result<(), String> {
        for past in &self.0 {
            let stored = past.store(setting).await;
            stored.map_err(|error| {
                let key = past.key();
                format!("what is given of {key} could not be stored, under an id that must have no events yet: {error}")
            })?;
        }
        Ok(())
    }
}

#[track_caller]
fn of_type<A: Aggregate>(past: &Arc<dyn Past>) -> &PastOf<A> {
    let of_type = past.as_any().downcast_ref();
    of_type.unwrap_or_else(|| panic!("{} is given under two types of the program", past.key()))
}

#[async_trait]
impl<A: Aggregate> Past for PastOf<A> {
    fn key(&self) -> &AggregateKey {
        &self.key
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn store(&self, setting: &Setting) -> Result<(), String> {
        let repository: Repository<A> = setting.repository();
        let mut before = &self.before;
        for (version, (event, after)) in (self.version..).zip(&self.events) {
            let identity = MessageIdentity::root(Uuid::now_v7(), Some("given"));
            let expected = ExpectedVersion::Exactly(version);
            let request = CommitRequest::new(identity, setting.now).aggregate(
                self.key.clone(),
                expected,
                vec![event.clone()],
            );
            let request = repository.with_names(request, &self.key, [before, after]);
            let request = request.await.map_err(|error| error.to_string())?;
            let stored = setting.store.append(request).await;
            stored.map_err(|error| error.to_string())?;
            before = after;
        }
        Ok(())
    }
}
