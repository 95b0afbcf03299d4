//! The contract of read models, kept in memory and in an SQLite file.

mod in_memory {
    use cim_es::MemoryReadModels;
    use cim_es::testing::read_model_contract::Provider;

    #[derive(Default)]
    struct InMemory(MemoryReadModels);

    #[async_trait::async_trait]
    impl Provider for InMemory {
        type Storage = MemoryReadModels;

        async fn open(&self) -> MemoryReadModels {
            self.0.clone()
        }
    }

    cim_es::read_model_contract_tests!(InMemory::default());
}

#[cfg(feature = "sqlite")]
mod in_a_file {
    use cim_es::SqliteReadModels;
    use cim_es::testing::read_model_contract::Provider;

    use crate::sqlite_support::Directory;

    /// A file in a directory of its own; a further handle opens the file again, as another process does.
    #[derive(Default)]
    struct InFile(Directory);

    #[async_trait::async_trait]
    impl Provider for InFile {
        type Storage = SqliteReadModels;

        async fn open(&self) -> SqliteReadModels {
            SqliteReadModels::open(self.0.file("views.db")).expect("the file opens")
        }
    }

    cim_es::read_model_contract_tests!(InFile::default());
}

#[cfg(feature = "sqlite")]
mod in_the_file_of_events {
    use cim_es::testing::read_model_contract::Provider;
    use cim_es::{InlineReadModels, SqliteEventStore};

    use crate::sqlite_support::Directory;

    /// A file of events; a further handle opens the file again, as another process does.
    #[derive(Default)]
    struct InEvents(Directory);

    #[async_trait::async_trait]
    impl Provider for InEvents {
        type Storage = InlineReadModels;

        async fn open(&self) -> InlineReadModels {
            let store = SqliteEventStore::open(self.0.file("events.db"));
            store.expect("the file opens").read_models()
        }
    }

    cim_es::read_model_contract_tests!(InEvents::default());
}
