//! Noticing that an aggregate diverged, saying what either side did, and ending it.

use std::sync::Arc;

use super::HybridError;
use super::connector::RemoteStore;
use super::divergence::{Divergence, DivergenceCause, Resolved, branch, common};
use super::notice::Noticed;
use super::parked::Way;
use super::protocol::Protocol;
use super::state::Cause;
use crate::store::{AggregateKey, Bookmark, EventStore, Location, Position, StoreError};

impl Protocol {
    /// Records, once, that an aggregate went on differently on both sides; its commits wait from now on.
    pub(super) async fn diverge(
        &self,
        remote: &Arc<dyn RemoteStore>,
        aggregate: &AggregateKey,
        skipped: Option<Bookmark>,
    ) -> Result<(), StoreError> {
        let common = common(&*self.local, &**remote, aggregate).await?;
        let version = common.map_or(0, |common| common.version);
        let ours = branch(&*self.local, aggregate, version).await?;
        let theirs = branch(&**remote, aggregate, version).await?;
        if ours.events.is_empty() || theirs.events.is_empty() {
            // One side is the beginning of the other by now.
            return Err(StoreError::Busy {
                location: Location::Other("the stream".into()),
                reason: format!("{aggregate} changed while it was compared"),
            });
        }
        let noticed;
        {
            let mut kept = self.kept();
            if let Some((number, open)) = kept.open_divergence(aggregate) {
                // Known already: what is common may be less by now, as in a stream that was made anew.
                open.common = common;
                kept.divergence_changed(number);
                kept.wait_behind(
                    aggregate,
                    &Cause::Diverged(aggregate.clone()),
                    skipped,
                    None,
                );
                return Ok(());
            }
            let divergence = Divergence {
                aggregate: aggregate.clone(),
                cause: DivergenceCause::WentOnApart,
                common,
                tied: Vec::new(),
                ours,
                theirs,
                noticed: self.now(),
                resolved: None,
            };
            noticed = Noticed::Diverged {
                aggregate: aggregate.clone(),
                version,
                unique_name: divergence.unique_name().map(str::to_owned),
            };
            kept.diverged(divergence, skipped);
        }
        self.note(noticed);
        self.save().await
    }

    /// The divergences that are open, each with what either side did since, as it is now; what the stream has is what was
    /// last seen of it where there is no way to the stream.
    ///
    /// # Errors
    /// The failures of either side.
    pub async fn divergences(
        &self,
        remote: Option<&dyn EventStore>,
    ) -> Result<Vec<Divergence>, StoreError> {
        let all = self.recorded_divergences().into_iter();
        let mut open: Vec<_> = all.filter(Divergence::is_open).collect();
        for divergence in &mut open {
            let (aggregate, behind) = (&divergence.aggregate, divergence.common_version());
            divergence.ours = branch(&*self.local, aggregate, behind).await?;
            if let Some(remote) = remote {
                divergence.theirs = branch(remote, aggregate, behind).await?;
                let mut kept = self.kept();
                if let Some((number, known)) = kept.open_divergence(aggregate)
                    && known.theirs != divergence.theirs
                {
                    known.theirs = divergence.theirs.clone();
                    kept.divergence_changed(number);
                }
            }
        }
        Ok(open)
    }

    /// Ends the divergence of an aggregate once the file has been brought to one of the two histories: the aggregate and
    /// those that are tied to it go on, and what was passed over is read again.
    ///
    /// `how` is recorded. Whoever replaces a branch of the file does so while commands are
    /// [held](Self::hold_commands), and calls this then.
    ///
    /// # Errors
    /// [`HybridError::NotDiverged`], [`HybridError::StillDiverged`] where each side has events that the other does not, and
    /// the failures of either side.
    pub async fn resolve(
        &self,
        remote: &dyn EventStore,
        aggregate: &AggregateKey,
        how: &str,
    ) -> Result<(), HybridError> {
        if self.kept().open_divergence(aggregate).is_none() {
            return Err(HybridError::NotDiverged {
                aggregate: Box::new(aggregate.clone()),
            });
        }
        let common = common(&*self.local, remote, aggregate).await?;
        let version = common.map_or(0, |common| common.version);
        let ours = branch(&*self.local, aggregate, version).await?;
        let theirs = branch(remote, aggregate, version).await?;
        if !ours.events.is_empty() && !theirs.events.is_empty() {
            return Err(HybridError::StillDiverged {
                aggregate: Box::new(aggregate.clone()),
                version,
            });
        }
        let resolved = Resolved {
            at: self.now(),
            how: how.to_owned(),
            left_out: Vec::new(),
        };
        {
            let mut kept = self.kept();
            if let Some((number, open)) = kept.open_divergence(aggregate) {
                open.resolved = Some(resolved);
                kept.divergence_changed(number);
            }
            kept.go_on(&Cause::Diverged(aggregate.clone()));
        }
        self.note(Noticed::Resolved {
            aggregate: aggregate.clone(),
            how: how.to_owned(),
        });
        self.grown.notify_one();
        self.moved.notify_one();
        Ok(self.save().await?)
    }

    /// Has a commit tried again that was set aside, and what waits behind it.
    ///
    /// # Errors
    /// [`HybridError::NotParked`], and what keeps the file from recording it.
    pub async fn resend(&self, way: Way, position: Position) -> Result<(), HybridError> {
        {
            let mut kept = self.kept();
            kept.unpark(way, position)
                .ok_or(HybridError::NotParked { position })?;
            kept.go_on(&Cause::Parked(way, position));
        }
        self.note(Noticed::Resent { position });
        self.grown.notify_one();
        self.moved.notify_one();
        Ok(self.save().await?)
    }

    /// Gives up a commit of the file that was set aside, and with it what follows on its aggregates here: it stays in the
    /// file and never reaches the stream. The aggregates diverge with that, and take no command until the file has the
    /// stream's history of them.
    ///
    /// # Errors
    /// [`HybridError::NotParked`], [`HybridError::NoReason`], and what keeps the file from recording it.
    pub async fn discard(&self, position: Position, reason: &str) -> Result<(), HybridError> {
        if reason.trim().is_empty() {
            return Err(HybridError::NoReason);
        }
        let parked = self.parked().into_iter();
        let mut parked = parked.filter(|it| it.way == Way::Up && it.position == position);
        let commit = parked.next().ok_or(HybridError::NotParked { position })?;
        let mut divergences = Vec::new();
        for aggregate in &commit.aggregates {
            divergences.push(self.given_up(aggregate, &commit.cids, reason).await?);
        }
        {
            let mut kept = self.kept();
            kept.unpark(Way::Up, position)
                .ok_or(HybridError::NotParked { position })?;
            kept.go_on(&Cause::Parked(Way::Up, position));
            for divergence in divergences {
                if kept.open_divergence(&divergence.aggregate).is_none() {
                    kept.diverged(divergence, None);
                }
            }
        }
        self.note(Noticed::Discarded {
            position,
            reason: reason.to_owned(),
        });
        self.grown.notify_one();
        Ok(self.save().await?)
    }

    /// What is left of an aggregate without a commit: what stands before it.
    async fn given_up(
        &self,
        aggregate: &AggregateKey,
        cids: &[crate::block::Cid],
        reason: &str,
    ) -> Result<Divergence, StoreError> {
        let mut first = None;
        for cid in cids {
            let found = self.local.find(cid).await?;
            first = found.filter(|event| aggregate.has(event));
            if first.is_some() {
                break;
            }
        }
        let behind = first.map_or(0, |event| event.envelope.sequence.saturating_sub(1));
        let common = super::divergence::event_of(&*self.local, aggregate, behind).await?;
        Ok(Divergence {
            aggregate: aggregate.clone(),
            cause: DivergenceCause::Discarded {
                reason: reason.to_owned(),
            },
            common,
            tied: Vec::new(),
            ours: branch(&*self.local, aggregate, behind).await?,
            theirs: super::divergence::Branch {
                version: behind,
                head: common.map(|common| common.cid),
                events: Vec::new(),
            },
            noticed: self.now(),
            resolved: None,
        })
    }
}
