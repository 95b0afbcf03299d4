//! The port for what a store knows of the stream that it is kept level with.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;

/// Where a store keeps what it knows of the stream that it is kept level with: values by name, in the file of the events
/// itself, so that a copy of the file has both.
///
/// A value is a block of dag-cbor, which a store gives back byte by byte. [`hybrid`](crate::hybrid) says which names
/// there are.
///
/// ```
/// # use cim_es::MemoryEventStore;
/// use cim_es::store::{StateChange, SyncState};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cim_es::store::StoreError> {
/// let store = MemoryEventStore::new();
/// let changes = [("stand/up", vec![0x01]), ("stand/down", vec![0x02])];
/// store.change_state(changes.map(|(name, value)| StateChange::put(name, value)).into()).await?;
/// assert_eq!(store.get_state("stand/up").await?.as_deref(), Some(&[0x01][..]));
/// store.change_state(vec![StateChange::remove("stand/up")]).await?;
/// let left = store.list_state("stand/").await?;
/// assert_eq!(left, [("stand/down".to_owned(), vec![0x02].into())]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SyncState: Send + Sync + 'static {
    /// Changes values, all of them or none; of two changes to one name the later one counts.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn change_state(&self, changes: Vec<StateChange>) -> Result<(), StoreError>;

    /// The value under a name; none where there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a value that is not what was written, and the engine's failures.
    async fn get_state(&self, name: &str) -> Result<Option<Bytes>, StoreError>;

    /// The values whose names begin with a text, as they were at one moment, in the order of the bytes of their names.
    ///
    /// # Errors
    /// As [`get_state`](Self::get_state).
    async fn list_state(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError>;

    /// Claims what is kept here for one who has it in mind and writes it back, until the claim is dropped or its process
    /// ends, however it ends. All handles to a store share one claim, in whatever process they are.
    ///
    /// # Errors
    /// [`StoreError::KeptLevel`] while somebody has the claim, and the engine's failures.
    async fn claim_state(&self) -> Result<StateClaim, StoreError>;
}

/// Keeps others from claiming what a store knows of its stream, until it is dropped.
pub struct StateClaim {
    _held: Box<dyn Any + Send + Sync>,
}

impl StateClaim {
    /// A claim that ends when `held` is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}

impl fmt::Debug for StateClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateClaim").finish_non_exhaustive()
    }
}

/// One change of what is kept: a value under a name, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The name.
    pub name: String,
    /// The value that takes the place of the one before; none takes that one away.
    pub value: Option<Bytes>,
}

impl StateChange {
    /// Keeps a value in place of the one before.
    pub fn put(name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }

    /// Takes a value away, where there is one.
    pub fn remove(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: None,
        }
    }
}
