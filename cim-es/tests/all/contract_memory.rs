//! The contract, kept by the engine in memory.

use cim_es::MemoryEventStore;
use cim_es::testing::contract::Provider;

/// One store; a further handle to it is what another process would have.
#[derive(Default)]
struct InMemory(MemoryEventStore);

#[async_trait::async_trait]
impl Provider for InMemory {
    type Store = MemoryEventStore;

    async fn open(&self) -> MemoryEventStore {
        self.0.clone()
    }
}

cim_es::contract_tests!(InMemory::default());

mod sync_state {
    use super::InMemory;

    cim_es::contract_tests!(sync_state, InMemory::default());
}
