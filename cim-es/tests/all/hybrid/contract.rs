//! A hybrid store keeps the contract of every store: with the stream up, with it away, and with it coming and going.

use std::time::Duration;

use cim_es::MemoryEventStore;
use cim_es::hybrid::{HybridEventStore, HybridOptions};
use cim_es::testing::contract::Provider;

use super::network::Network;

struct Hybrid {
    file: MemoryEventStore,
    network: Network,
}

impl Hybrid {
    fn over(prepare: impl FnOnce(&Network)) -> Self {
        let network = Network::to(MemoryEventStore::new());
        prepare(&network);
        Self {
            file: MemoryEventStore::new(),
            network,
        }
    }
}

#[async_trait::async_trait]
impl Provider for Hybrid {
    type Store = HybridEventStore;

    async fn open(&self) -> HybridEventStore {
        let pause = Duration::from_millis(1);
        HybridOptions::new()
            .pauses(pause, pause * 10)
            .save_interval(pause * 5)
            .open(self.file.clone(), self.network.clone())
            .await
            .expect("the store opens")
    }
}

mod with_the_stream_up {
    use super::*;

    cim_es::contract_tests!(Hybrid::over(|_| {}));
}

mod with_the_stream_away {
    use super::*;

    cim_es::contract_tests!(Hybrid::over(|network| network.is_away(true)));
}

mod with_the_stream_coming_and_going {
    use super::*;

    cim_es::contract_tests!(Hybrid::over(|network| network.fails_each(5)));
}
