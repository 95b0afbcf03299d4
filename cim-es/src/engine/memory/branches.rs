//! Replacing branches: the log is made again without them, and takes the place of the former one when all fits.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;

use super::{MemoryEventStore, store_planned};
use crate::block::StoredEvent;
use crate::store::{
    BranchError, BranchReplacement, BranchStore, ContentType, Damage, Epoch, Location, Position,
    ReplacedBranches, StoreError, check_whole, plan,
};

#[async_trait]
impl BranchStore for MemoryEventStore {
    async fn replace_branches(
        &self,
        replacement: BranchReplacement,
    ) -> Result<ReplacedBranches, BranchError> {
        replacement.check()?;
        let BranchReplacement {
            branches,
            commits,
            changes,
        } = replacement;
        let options = &self.inner.options;
        let proved = commits.into_iter().map(|commit| commit.prove(options));
        let proved = proved.collect::<Result<Vec<_>, _>>()?;
        let mut kept = self.write()?;
        let mut places = HashSet::new();
        for branch in &branches {
            let head = kept.log.head(&branch.aggregate);
            branch.check(head.map(|head| (head.version, head.cid)))?;
            let before = usize::try_from(branch.from - 1).unwrap_or(usize::MAX);
            let of_branch = kept.log.places_of(&branch.aggregate).get(before..);
            places.extend(of_branch.unwrap_or_default());
        }
        let mut positions: Vec<_> = places
            .iter()
            .map(|place| Position(*place as u64 + 1))
            .collect();
        positions.sort_unstable();
        let at = |position| kept.log.at(position).cloned();
        let taken: Vec<StoredEvent> = positions.iter().copied().filter_map(at).collect();
        check_whole(&taken, |position| {
            at(position).ok_or_else(|| {
                let reason = "the log has no event there";
                Damage::new(Location::Memory, position, None, reason).into()
            })
        })?;
        let mut log = kept.log.without(&places);
        let plans = plan(&proved, &mut log)?;
        let appended = store_planned(&mut log, proved, plans);
        let before = positions.first().map_or(0, |first| first.0 - 1);
        let unchanged = kept.log.at(Position(before)).map(StoredEvent::bookmark);
        let epoch = Epoch {
            number: kept.epochs.len() as u64 + 1,
            unchanged: unchanged.unwrap_or_default(),
            branches,
        };
        // From here on nothing fails.
        for event in &taken {
            let blocks = [
                (event.cid, event.envelope_bytes()),
                (event.envelope.payload, event.payload()),
            ];
            for (cid, bytes) in blocks {
                let block = Bytes::copy_from_slice(bytes);
                kept.keep_object(cid, block, ContentType::DAG_CBOR);
            }
        }
        kept.snapshots
            .retain(|_, snapshot| snapshot.position.0 <= before);
        kept.change(changes);
        kept.log = log;
        kept.epochs.push(epoch.clone());
        self.announce(&kept.log);
        let events = appended.into_iter().flat_map(|commit| commit.events);
        Ok(ReplacedBranches {
            epoch,
            events: events.collect(),
        })
    }

    async fn epochs(&self) -> Result<Vec<Epoch>, StoreError> {
        Ok(self.read()?.epochs.clone())
    }
}
