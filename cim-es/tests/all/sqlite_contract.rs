//! The contract, kept by the engine in an SQLite file.

use crate::sqlite_support::Directory;
use cim_es::SqliteEventStore;
use cim_es::testing::contract::Provider;

/// A file in a directory of its own; a further handle opens the file again, as another process does.
#[derive(Default)]
struct InFile(Directory);

#[async_trait::async_trait]
impl Provider for InFile {
    type Store = SqliteEventStore;

    async fn open(&self) -> SqliteEventStore {
        SqliteEventStore::open(self.0.file("contract.db")).expect("the file opens")
    }
}

cim_es::contract_tests!(InFile::default());

mod sync_state {
    use super::InFile;

    cim_es::contract_tests!(sync_state, InFile::default());
}
