//! The programs that keep one version of a view in parts, and which parts each keeps.
//!
//! Each holds a view without documents by a lease, so that the others see it. Of the programs that are seen, each takes
//! every so-manieth part. Nothing depends on that all of them see the same: a part is kept by who holds it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::document::PartNames;
use crate::domain::ErrorChain;
use crate::domain::message::{Clock, SystemClock};
use crate::store::read_model::{
    Hold, ReadModelError, ReadModelStorage, ReadModelStorageExt, ViewDeclaration,
};

/// Stands for that such a view has no documents.
const FINGERPRINT: u64 = 1;
/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(2);

/// The parts that this program is to keep.
pub(super) struct Assigned {
    parts: Mutex<BTreeSet<u8>>,
    /// Cancelled once nobody asks any more.
    over: CancellationToken,
}

impl Assigned {
    /// The parts that are kept from the beginning, with what ends when nobody asks any more.
    pub(super) fn new(parts: BTreeSet<u8>) -> (Arc<Self>, CancellationToken) {
        let over = CancellationToken::new();
        let assigned = Self {
            parts: Mutex::new(parts),
            over: over.clone(),
        };
        (Arc::new(assigned), over)
    }

    pub(super) fn has(&self, part: u8) -> bool {
        self.parts().contains(&part)
    }

    // Nothing that can panic is done under the lock.
    fn parts(&self) -> MutexGuard<'_, BTreeSet<u8>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// One of the programs.
pub(super) struct Member {
    storage: Arc<dyn ReadModelStorage>,
    names: PartNames,
    lease: Duration,
    me: Uuid,
    /// The number under which the others see it.
    number: Option<u8>,
}

impl Member {
    pub(super) fn new(
        storage: Arc<dyn ReadModelStorage>,
        names: PartNames,
        lease: Duration,
    ) -> Self {
        Self {
            storage,
            names,
            lease,
            me: Uuid::now_v7(),
            number: None,
        }
    }

    /// Takes part until nobody asks any more which parts are to be kept.
    pub(super) async fn run(mut self, assigned: Weak<Assigned>, over: CancellationToken) {
        loop {
            let parts = match self.parts().await {
                Ok(parts) => Some(parts),
                // What it was to keep it goes on with: nobody takes a part that is held.
                Err(error) => {
                    let error = ErrorChain(&error);
                    tracing::warn!(view = ?self.names, %error, "the programs that keep a view could not be looked up");
                    None
                }
            };
            let Some(assigned) = assigned.upgrade() else {
                break;
            };
            if let Some(parts) = parts {
                *assigned.parts() = parts;
            }
            drop(assigned);
            if over
                .run_until_cancelled(sleep(self.lease / 3))
                .await
                .is_none()
            {
                break;
            }
        }
        self.leave().await;
    }

    /// The parts that are this one's to keep, of those who are there now.
    pub(super) async fn parts(&mut self) -> Result<BTreeSet<u8>, ReadModelError> {
        if let Some(number) = self.number
            && !self.hold(number).await?
        {
            self.number = None;
        }
        let mut there = BTreeSet::new();
        for number in 0..self.names.parts() {
            if self.number == Some(number) || self.is_held(number).await? {
                there.insert(number);
            }
        }
        for number in 0..self.names.parts() {
            if self.number.is_none() && !there.contains(&number) {
                let is_mine = self.hold(number).await?;
                self.number = is_mine.then_some(number);
                there.insert(number);
            }
        }
        let count = there.len();
        let mine = self
            .number
            .and_then(|mine| there.iter().position(|it| *it == mine));
        let is_mine = |part: &u8| mine.is_some_and(|mine| usize::from(*part) % count == mine);
        Ok((0..self.names.parts()).filter(is_mine).collect())
    }

    async fn is_held(&self, number: u8) -> Result<bool, ReadModelError> {
        let record = self.storage.view(&self.names.member(number)?).await?;
        let held = record.and_then(|record| record.held);
        Ok(held.is_some_and(|held| !held.has_lapsed(SystemClock.now())))
    }

    async fn hold(&self, number: u8) -> Result<bool, ReadModelError> {
        let view = self.names.member(number)?;
        let held = match self.storage.hold(&view, self.me, self.lease).await {
            Err(ReadModelError::NoSuchView { .. }) => {
                let declaration = ViewDeclaration::new(view.clone(), FINGERPRINT);
                self.storage.open_view(&declaration).await?;
                self.storage.hold(&view, self.me, self.lease).await
            }
            held => held,
        };
        Ok(matches!(held?, Hold::Held { .. }))
    }

    async fn leave(&self) {
        let left = async {
            if let Some(number) = self.number {
                self.storage
                    .release(&self.names.member(number)?, self.me)
                    .await?;
            }
            Ok::<_, ReadModelError>(())
        };
        if !matches!(timeout(LEAVING, left).await, Ok(Ok(()))) {
            tracing::debug!(view = ?self.names, "others learn that this program is gone when its lease ends");
        }
    }
}
