//! Handing a port on: what holds a store is a store.

/// Makes a type an [`EventStore`](crate::store::EventStore) by the one that it holds.
///
/// The methods of the port but for `append_proved` have no body of their own, so one that is missing here does not compile.
macro_rules! forward_event_store {
    ([$($generics:tt)*] $holder:ty, |$this:ident| $store:expr) => {
        #[async_trait::async_trait]
        impl<$($generics)*> $crate::store::EventStore for $holder {
            async fn append(
                &self,
                commit: $crate::store::CommitRequest,
            ) -> Result<Vec<$crate::block::StoredEvent>, $crate::store::StoreError> {
                let $this = self;
                $store.append(commit).await
            }

            async fn append_sealed(
                &self,
                commits: Vec<$crate::store::SealedCommit>,
            ) -> Result<Vec<$crate::store::AppendedCommit>, $crate::store::StoreError> {
                let $this = self;
                $store.append_sealed(commits).await
            }

            async fn append_proved(
                &self,
                commits: Vec<$crate::store::ProvedCommit>,
            ) -> Result<Vec<$crate::store::AppendedCommit>, $crate::store::StoreError> {
                let $this = self;
                $store.append_proved(commits).await
            }

            fn history(
                &self,
                aggregate: &$crate::store::AggregateKey,
                versions: $crate::store::Versions,
            ) -> $crate::store::EventStream {
                let $this = self;
                $store.history(aggregate, versions)
            }

            async fn last(
                &self,
                aggregate: &$crate::store::AggregateKey,
            ) -> Result<Option<$crate::block::StoredEvent>, $crate::store::StoreError> {
                let $this = self;
                $store.last(aggregate).await
            }

            async fn kinds(
                &self,
                id: &$crate::aggregate::IdText,
            ) -> Result<Vec<String>, $crate::store::StoreError> {
                let $this = self;
                $store.kinds(id).await
            }

            async fn find(
                &self,
                cid: &$crate::block::Cid,
            ) -> Result<Option<$crate::block::StoredEvent>, $crate::store::StoreError> {
                let $this = self;
                $store.find(cid).await
            }

            async fn last_position(
                &self,
            ) -> Result<$crate::store::Position, $crate::store::StoreError> {
                let $this = self;
                $store.last_position().await
            }

            fn read(
                &self,
                selection: $crate::store::Selection,
                after: $crate::store::Bookmark,
            ) -> $crate::store::EventStream {
                let $this = self;
                $store.read(selection, after)
            }

            fn follow(
                &self,
                selection: $crate::store::Selection,
                after: $crate::store::Bookmark,
            ) -> $crate::store::EventStream {
                let $this = self;
                $store.follow(selection, after)
            }

            fn settings(&self) -> $crate::store::EngineSettings {
                let $this = self;
                $store.settings()
            }
        }
    };
}

pub(crate) use forward_event_store;
