//! Subscriptions on one machine: what holds on every engine, and what is theirs alone.

#[cfg(feature = "sqlite")]
mod killed;
mod kinds;
mod suite;

use suite::{Works, subscription_tests};

mod in_memory {
    use super::*;

    async fn works() -> Works<cim_es::MemoryEventStore> {
        Works::new(cim_es::MemoryEventStore::new(), ())
    }

    subscription_tests!(works);
}

/// Kept where the author says.
mod in_a_storage {
    use super::*;

    async fn works() -> Works<cim_es::MemoryEventStore> {
        let works = Works::new(cim_es::MemoryEventStore::new(), ());
        works.kept_in(cim_es::MemoryReadModels::new())
    }

    subscription_tests!(works);
}

#[cfg(feature = "sqlite")]
mod in_a_file {
    use super::*;
    use crate::sqlite_support::Directory;

    async fn works() -> Works<cim_es::SqliteEventStore> {
        let directory = Directory::new();
        let store = cim_es::SqliteEventStore::open(directory.file("events.db"));
        Works::new(store.expect("the file opens"), directory)
    }

    subscription_tests!(works);
}
