//! Faults of replaced branches.

use async_trait::async_trait;
use cim_es::store::{
    BranchError, BranchReplacement, BranchStore, Epoch, EventStore, EventStoreExt,
    ReplacedBranches, StoreError,
};

use super::fault::Fault;
use super::store::{WrongStore, lock};

#[async_trait]
impl BranchStore for WrongStore {
    async fn replace_branches(
        &self,
        mut replacement: BranchReplacement,
    ) -> Result<ReplacedBranches, BranchError> {
        match self.fault() {
            Fault::ABranchIsReplacedWithoutItsFirstCommit if replacement.commits.len() > 1 => {
                let commits = replacement.commits.split_off(1);
                let replaced = self.inner.replace_branches(replacement).await?;
                self.inner.append_sealed(commits).await?;
                return Ok(replaced);
            }
            Fault::OnlyTheFirstBranchIsReplaced => replacement.branches.truncate(1),
            Fault::ABranchMayBeOld => {
                for branch in &mut replacement.branches {
                    if let Some(last) = self.inner.last(&branch.aggregate).await? {
                        branch.head = last.cid;
                    }
                }
            }
            Fault::ABranchIsReplacedOnce if !self.inner.epochs().await?.is_empty() => {
                return Err(BranchError::NoBranch);
            }
            Fault::ABranchIsTakenOutAndNothingTakesItsPlace => replacement.commits.clear(),
            _ => {}
        }
        let mut taken = Vec::new();
        for branch in &replacement.branches {
            let events = self.inner.get_events(&branch.aggregate, branch.from.max(1));
            taken.extend(events.await?.into_iter().map(|event| event.cid));
        }
        let replaced = self.inner.replace_branches(replacement).await?;
        if self.fault() == Fault::WhatIsTakenOutIsLost {
            lock(&self.all().lost).extend(taken);
        }
        Ok(replaced)
    }

    async fn epochs(&self) -> Result<Vec<Epoch>, StoreError> {
        self.inner.epochs().await
    }
}
