//! The saved state of a view in memory, so that a restart reads only what is new.
//!
//! It is a cache: where it cannot be used the view is built from the first event on, and says so. It is one document of
//! the view in a storage, and the record of the view says up to which event it is true.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::declared::fingerprint;
use super::{InMemory, Parked, Skipped, ViewId};
use crate::block::payload::{outline, written};
use crate::domain::ErrorChain;
use crate::store::Bookmark;
use crate::store::read_model::{
    DocumentChange, Hold, ReadModelError, ReadModelStorage, ReadModelStorageExt, STATE,
    ViewChanges, ViewDeclaration, ViewRecord, opened_state, sealed_state,
};

/// How long a state may go without being saved while events are counted, and how many of them.
const PAUSE: Duration = Duration::from_secs(30);
const MOST_EVENTS: u64 = 100_000;

/// How long one save may take before another program saves.
const LEASE: Duration = Duration::from_secs(10);

/// Saves the state of a view.
pub(super) struct SavedState<V> {
    storage: Arc<dyn ReadModelStorage>,
    declaration: ViewDeclaration,
    encode: fn(&V) -> Result<Vec<u8>, String>,
    me: Uuid,
    /// Up to where it is saved.
    up_to: Bookmark,
    unsaved: u64,
    last: Instant,
    skipped: Vec<Skipped>,
}

/// What was found of a view.
pub(super) struct Found<V> {
    pub view: V,
    pub up_to: Bookmark,
    /// Why the view is built again, where something was found that is not used.
    pub unused: Option<String>,
}

impl<V: InMemory + Default + Serialize + DeserializeOwned> SavedState<V> {
    /// Opens the saved state of a view.
    ///
    /// # Errors
    /// What the storage says. A state that cannot be used is none.
    pub(super) async fn open(
        storage: Arc<dyn ReadModelStorage>,
    ) -> Result<(Self, Found<V>), ReadModelError> {
        let id = ViewId::new(V::NAME, V::VERSION)?;
        // Fields that the state has gained or lost show in its outline.
        let made_by = fingerprint(V::FINGERPRINT, &[outline::<V>().digest]);
        let declaration = ViewDeclaration::new(id, made_by);
        let mut unused = None;
        let record = match storage.open_view(&declaration).await {
            Ok(record) => record,
            Err(ReadModelError::DeclarationChanged { .. }) => {
                unused = Some("its saved state was made by another declaration".to_owned());
                begin_again(&*storage, &declaration).await?
            }
            Err(error) => return Err(error),
        };
        let state = storage.get(&declaration.view, STATE).await?;
        let mut found = Found {
            view: V::default(),
            up_to: Bookmark::START,
            unused,
        };
        let mut up_to = record.up_to;
        let is_new = record == ViewRecord::new(&declaration) && state.value.is_none();
        // Without a state nothing was saved yet, though events may have been passed over.
        if let Some(bytes) = state.value {
            match decode(&bytes) {
                Ok(view) => {
                    found = Found {
                        view,
                        up_to,
                        ..found
                    }
                }
                Err(reason) => {
                    found.unused = Some(format!("its saved state is damaged: {reason}"));
                    up_to = Bookmark::START;
                }
            }
        }
        if let Some(reason) = &found.unused {
            tracing::warn!(view = %declaration.view, reason, "the view is built again");
        }
        let saved = Self {
            storage,
            declaration,
            encode: |view| encode(view),
            me: Uuid::now_v7(),
            up_to,
            unsaved: 0,
            last: Instant::now(),
            skipped: record.skipped,
        };
        if is_new {
            saved.mark(&found.view).await;
        }
        Ok((saved, found))
    }
}

impl<V> SavedState<V> {
    pub(super) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether it is time to save the state, after further events were counted.
    pub(super) fn is_due(&mut self, counted: u64) -> bool {
        self.unsaved += counted;
        self.unsaved >= MOST_EVENTS || (self.unsaved > 0 && self.last.elapsed() >= PAUSE)
    }

    /// The bytes of a state.
    ///
    /// # Errors
    /// What keeps it from being saved.
    pub(super) fn encode(&self, view: &V) -> Result<Vec<u8>, String> {
        (self.encode)(view)
    }

    /// Saves a state that is true up to an event.
    ///
    /// # Errors
    /// What keeps it from being saved.
    pub(super) async fn save(&mut self, state: Vec<u8>, up_to: Bookmark) -> Result<(), String> {
        (self.unsaved, self.last) = (0, Instant::now());
        if up_to.position <= self.up_to.position {
            return Ok(());
        }
        let me = self.me;
        let document = DocumentChange::put(STATE, Bytes::from(state));
        let changes = |after: Bookmark| {
            // Another program may have saved more.
            let is_further = after.position < up_to.position;
            let changes = ViewChanges::new(me, after, up_to).with_documents(vec![document]);
            is_further.then_some(changes)
        };
        self.commit(changes).await?;
        self.up_to = up_to;
        Ok(())
    }

    /// Stores the state before the first event, so that whoever asks for documents is told what is kept here. The view does
    /// not need it, and where it cannot be stored this is said when more is saved.
    async fn mark(&self, view: &V) {
        let Ok(state) = self.encode(view) else { return };
        let document = DocumentChange::put(STATE, Bytes::from(state));
        let changes = |after: Bookmark| {
            let changes = ViewChanges::new(self.me, after, after).with_documents(vec![document]);
            (after == Bookmark::START).then_some(changes)
        };
        if let Err(reason) = self.commit(changes).await {
            tracing::debug!(view = %self.declaration.view, reason, "the state before the first event was not stored");
        }
    }

    /// Notes where the view stopped.
    ///
    /// # Errors
    /// What keeps it from being noted.
    pub(super) async fn park(&self, parked: &Parked) -> Result<(), String> {
        let (me, parked) = (self.me, parked.clone());
        let changes = |after| Some(ViewChanges::new(me, after, after).parked(parked));
        self.commit(changes).await.map(drop)
    }

    /// Notes that an event is passed over.
    ///
    /// # Errors
    /// What keeps it from being noted.
    pub(super) async fn skip(&self, skipped: &Skipped) -> Result<(), String> {
        let (me, noted) = (self.me, skipped.clone());
        let changes = |after| Some(ViewChanges::new(me, after, after).skipping(noted));
        if !self.commit(changes).await? {
            return Err("another program saves the view at this moment: try again".to_owned());
        }
        Ok(())
    }

    /// Forgets the state, which is one of another history.
    ///
    /// # Errors
    /// What the storage says.
    pub(super) async fn forget(&mut self) -> Result<(), String> {
        let record = begin_again(&*self.storage, &self.declaration).await;
        self.up_to = record.map_err(said)?.up_to;
        Ok(())
    }

    /// Stores changes behind what is saved; gives whether nobody else was doing so.
    async fn commit(
        &self,
        changes: impl FnOnce(Bookmark) -> Option<ViewChanges>,
    ) -> Result<bool, String> {
        let view = &self.declaration.view;
        if let Hold::HeldByAnother { .. } = self
            .storage
            .hold(view, self.me, LEASE)
            .await
            .map_err(said)?
        {
            return Ok(false);
        }
        let record = self.storage.view(view).await.map_err(said)?;
        let after = record.map_or(Bookmark::START, |record| record.up_to);
        let outcome = match changes(after) {
            Some(changes) => self.storage.commit(view, changes).await,
            None => Ok(()),
        };
        let released = self.storage.release(view, self.me).await;
        outcome.and(released).map_err(said)?;
        Ok(true)
    }
}

async fn begin_again(
    storage: &dyn ReadModelStorage,
    declaration: &ViewDeclaration,
) -> Result<ViewRecord, ReadModelError> {
    storage.remove_view(&declaration.view).await?;
    storage.open_view(declaration).await
}

fn said(error: ReadModelError) -> String {
    ErrorChain(&error).to_string()
}

fn encode<V: Serialize + DeserializeOwned>(view: &V) -> Result<Vec<u8>, String> {
    let state = written::<V, V>(view).map_err(|error| error.to_string())?;
    Ok(sealed_state(&state))
}

fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    serde_ipld_dagcbor::from_slice(opened_state(bytes)?).map_err(|error| error.to_string())
}
