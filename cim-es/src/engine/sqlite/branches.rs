//! Replacing branches in the file.

use async_trait::async_trait;

use super::{SqliteEventStore, epochs};
use crate::store::{
    BranchError, BranchReplacement, BranchStore, Epoch, ReplacedBranches, StoreError,
};

#[async_trait]
impl BranchStore for SqliteEventStore {
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
        let options = self.shared.options.seal;
        let writer = &self.shared.writer;
        let blocks = commits.iter().flat_map(|commit| &commit.events);
        let bytes = blocks.map(|block| block.body.len()).sum();
        let prove = move || {
            let proved = commits.into_iter().map(|commit| commit.prove(&options));
            proved.collect::<Result<Vec<_>, _>>()
        };
        let proved = writer.aside(bytes, prove).await??;
        writer.replace(bytes, branches, proved, changes).await
    }

    async fn epochs(&self) -> Result<Vec<Epoch>, StoreError> {
        let readers = &self.shared.readers;
        readers.read(|database| epochs::since(database, 0)).await
    }
}
