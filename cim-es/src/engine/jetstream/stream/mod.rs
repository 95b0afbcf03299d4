//! The event store on one stream.

mod append;
mod compare;
mod doctor;
mod existing;
mod finding;
mod fragments;
mod history;
mod import;
mod kinds;
mod listing;
mod look;
mod outcome;
mod publish;
mod raw;
mod repeats;
mod rivals;
mod room;
mod scan;
mod setup;
mod store;
mod tip;
mod versions;
mod wanted;

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cid::Cid;
use lru::LruCache;
use tokio::sync::Semaphore;

use self::versions::Versions;
pub use finding::{Finding, Severity};
pub use fragments::{Copied, UnfinishedCommit};
pub use store::JetStreamEventStore;

use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::domain::subject::pattern::matches;
use crate::engine::jetstream::api::{Api, Commits, Filters, Raw, Reader, StreamInfo, Surroundings};
use crate::engine::jetstream::config::JetStreamOptions;
use crate::engine::jetstream::retry;
use crate::store::{KnownMessages, Position, StoreError, StoredSubjects};

/// How many events a store remembers the places of.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// How many atomic batches one store has in flight; the server takes 50 for a stream.
const BATCHES_IN_FLIGHT: usize = 16;

/// What everything that a store does has in common.
struct Stream {
    api: Api,
    /// What tells whether a commit is whole.
    around: Surroundings,
    options: JetStreamOptions,
    /// Turns for atomic batches.
    batches: Semaphore,
    /// Whether the servers were new enough when they were looked at.
    versions: Versions,
    /// The JetStream domain that the stream is in.
    domain: Option<String>,
    places: Mutex<LruCache<Cid, Position>>,
    messages: Mutex<KnownMessages>,
}

impl Stream {
    /// A stream that was found, and how many times the client had connected when its servers were looked at.
    fn new(api: Api, options: JetStreamOptions, found: StreamInfo, connects: u64) -> Self {
        let api = api.of_stream(&found.created);
        let around = Surroundings {
            api: api.clone(),
            subjects: options.stream.stored_subjects.clone(),
            is_atomic: found.info.config.num_replicas > 1,
        };
        Self {
            api,
            around,
            options,
            batches: Semaphore::new(BATCHES_IN_FLIGHT),
            versions: Versions::checked(connects),
            domain: found.domain,
            places: Mutex::new(LruCache::new(REMEMBERED)),
            messages: Mutex::default(),
        }
    }

    fn subjects(&self) -> &StoredSubjects {
        &self.options.stream.stored_subjects
    }

    /// Refuses events that the stream cannot have: of a type that it does not keep, which no server would answer for, or
    /// with a subject that no server reads. Each is the id of an aggregate, and a type.
    fn check_events<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), StoreError> {
        let public = &self.options.stream.subjects;
        for (id, event_type) in events {
            self.check_length(id, event_type)?;
            let is_kept = public.iter().any(|filter| matches(filter, event_type));
            if !is_kept {
                return Err(invalid(format!(
                    "stream {} keeps events on {}, and `{event_type}` is not among them: append it to the stream of its domain",
                    self.api.stream,
                    public.join(", "),
                )));
            }
            let first = |subject: &str| subject.split('.').next().map(str::to_owned);
            let is_republished_bare = self.options.stream.public_prefix.is_none();
            if is_republished_bare && first(event_type) == first(self.subjects().prefix()) {
                return Err(invalid(format!(
                    "`{event_type}` starts like a stored subject, and would be stored twice: give the domain another name"
                )));
            }
        }
        Ok(())
    }

    fn check_length(&self, id: &str, event_type: &str) -> Result<(), StoreError> {
        let longest = self.api.longest_stored();
        // Most are far from it, whatever the id.
        if event_type.len() < longest / 2 {
            return Ok(());
        }
        let subject = self.subjects().stored(&IdText::trusted(id), event_type);
        match subject.len() {
            bytes if bytes > longest => Err(invalid(format!(
                "the event `{}…` of `{id}` would be stored under a subject of {bytes} bytes, and a server takes {longest}: take shorter names",
                event_type.chars().take(64).collect::<String>(),
            ))),
            _ => Ok(()),
        }
    }

    /// The event that a message holds, proved.
    fn verify(&self, raw: Raw) -> Result<StoredEvent, StoreError> {
        self.around.verify(raw)
    }

    /// Whether several servers keep the stream.
    fn is_replicated(&self) -> bool {
        self.around.is_atomic
    }

    /// What is known of the messages that wrote to the stream.
    fn messages(&self) -> MutexGuard<'_, KnownMessages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self, filters: Filters, after: u64) -> Reader {
        Reader::new(self.api.clone(), filters, after.saturating_add(1))
    }

    /// The events that a reader behind a sequence gives, each once its commit is whole.
    fn commits(&self, reader: Reader, after: u64) -> Commits {
        Commits::new(reader, self.around.clone(), after)
    }

    /// How long an answer that is older than what is known may come from a leader that was deposed.
    fn staleness(&self) -> Duration {
        match self.is_replicated() {
            true => retry::DEPOSED.min(self.api.patience),
            false => Duration::ZERO,
        }
    }

    fn place_of(&self, cid: &Cid) -> Option<Position> {
        let mut places = self.places.lock().ok()?;
        places.get(cid).copied()
    }

    fn remember(&self, events: &[StoredEvent]) {
        let id = |event: &StoredEvent| event.envelope.aggregate_id.clone();
        for (at, event) in events.iter().enumerate() {
            // The last one of each aggregate in a row.
            if events.get(at + 1).map(id) != Some(id(event)) {
                let id = &event.envelope.aggregate_id;
                self.api.seen.note_aggregate(id, event.position.0);
            }
        }
        if let Ok(mut places) = self.places.lock() {
            for event in events {
                places.put(event.cid, event.position);
            }
        }
    }
}

fn invalid(reason: String) -> StoreError {
    StoreError::InvalidCommit { reason }
}
