//! The engine in memory, with one fault built around it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::store::{AggregateKey, Bookmark, ContentType, Snapshot};
use cim_es::testing::contract::Provider;
use tokio::sync::broadcast;

use super::fault::Fault;

/// A place for stores with a fault.
pub struct Wrong {
    fault: Fault,
    all: Arc<All>,
}

impl Wrong {
    pub fn with(fault: Fault) -> Self {
        let all = All {
            inner: Mutex::default(),
            visible: AtomicU64::new(u64::MAX),
            is_closed: AtomicBool::new(false),
            handles: AtomicUsize::new(0),
            live: broadcast::channel(64).0,
            messages: Mutex::default(),
            payloads: Mutex::default(),
            imported: Mutex::default(),
            repeated: Mutex::default(),
            acknowledged: AtomicUsize::new(0),
            lost: Mutex::default(),
            said: Mutex::default(),
            refused: Mutex::default(),
        };
        Self {
            fault,
            all: Arc::new(all),
        }
    }
}

#[async_trait]
impl Provider for Wrong {
    type Store = WrongStore;

    async fn open(&self) -> WrongStore {
        let open = self.all.handles.fetch_add(1, Ordering::SeqCst);
        if open == 0 && self.fault == Fault::ItForgetsWhenAllHandlesAreGone {
            *lock(&self.all.inner) = MemoryEventStore::new();
        }
        let handle = Handle {
            fault: self.fault,
            all: Arc::clone(&self.all),
            last: Mutex::default(),
            histories: Mutex::default(),
            written: Mutex::default(),
            number: open,
            messages: Mutex::default(),
            kept: Kept::default(),
        };
        WrongStore {
            inner: lock(&self.all.inner).clone(),
            handle: Arc::new(handle),
        }
    }
}

/// What all handles share.
pub struct All {
    inner: Mutex<MemoryEventStore>,
    /// The last position that readers see.
    pub visible: AtomicU64,
    pub is_closed: AtomicBool,
    handles: AtomicUsize,
    pub live: broadcast::Sender<StoredEvent>,
    pub messages: Mutex<HashMap<uuid::Uuid, Vec<StoredEvent>>>,
    pub payloads: Mutex<HashSet<(AggregateKey, String)>>,
    /// What came from elsewhere, and what of it came more than once.
    pub imported: Mutex<HashSet<Cid>>,
    pub repeated: Mutex<HashSet<Cid>>,
    /// What was acknowledged, by count.
    pub acknowledged: AtomicUsize,
    pub lost: Mutex<HashSet<Cid>>,
    /// What was said last of an object.
    pub said: Mutex<HashMap<Cid, ContentType>>,
    pub refused: Mutex<HashSet<AggregateKey>>,
}

/// What one handle has, whose clones share it.
pub struct Handle {
    pub fault: Fault,
    pub all: Arc<All>,
    /// The last events as this handle knows them.
    pub last: Mutex<HashMap<AggregateKey, Option<StoredEvent>>>,
    /// The histories, and what was written, as this handle knows them.
    pub histories: Mutex<HashMap<AggregateKey, Vec<StoredEvent>>>,
    pub written: Mutex<HashSet<Cid>>,
    pub number: usize,
    /// The messages that came through this handle.
    pub messages: Mutex<HashSet<uuid::Uuid>>,
    pub kept: Kept,
}

/// What a handle keeps for itself.
#[derive(Default)]
pub struct Kept {
    pub objects: Mutex<HashMap<Vec<u8>, Bytes>>,
    pub snapshots: Mutex<HashMap<(AggregateKey, u64), Snapshot>>,
    pub checkpoints: Mutex<HashMap<String, Bookmark>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.all.handles.fetch_sub(1, Ordering::SeqCst);
        if self.fault == Fault::ADroppedHandleClosesTheStore {
            self.all.is_closed.store(true, Ordering::SeqCst);
        }
    }
}

/// A store with a fault.
#[derive(Clone)]
pub struct WrongStore {
    pub inner: MemoryEventStore,
    pub handle: Arc<Handle>,
}

impl WrongStore {
    pub fn fault(&self) -> Fault {
        self.handle.fault
    }

    pub fn all(&self) -> &All {
        &self.handle.all
    }

    /// The aggregate that the store takes a key for.
    pub fn key(&self, key: &AggregateKey) -> AggregateKey {
        let (kind, id) = (key.kind(), key.id().as_str());
        let made = |kind: &str, id: &str| {
            let id = IdText::new(if id.is_empty() { "-" } else { id }).unwrap();
            AggregateKey::new(kind.to_owned(), id)
        };
        match self.fault() {
            Fault::IdsIgnoreTheCase => made(kind, &id.to_lowercase()),
            Fault::IdsAreCutAt64 => made(kind, cut(id, 64)),
            Fault::IdsAreCutAt200 => made(kind, cut(id, 200)),
            Fault::IdsAreTrimmed => made(kind, id.trim()),
            Fault::IdsAreNumbers => match id.parse::<f64>() {
                Ok(number) => made(kind, &number.to_string()),
                Err(_) => key.clone(),
            },
            Fault::IdsAreNormalised => made(kind, &id.replace("e\u{301}", "\u{e9}")),
            Fault::IdsAreUnescaped => made(kind, &id.replace("%2E", ".").replace("%20", " ")),
            Fault::IdsHaveUnderscoresForDots => made(kind, &id.replace('.', "_")),
            Fault::IdsHaveSignsForDots => {
                made(kind, &id.replace('.', "=2E").replace("=2E", "=2Eb"))
            }
            Fault::IdsEndAtANul => made(kind, id.split('\0').next().unwrap_or_default()),
            Fault::IdsHaveNoInvisibleSigns => made(kind, &id.replace(['\u{200d}', '\u{feff}'], "")),
            Fault::IdsAreFolded => made(kind, &id.replace("\u{212a}", "K")),
            Fault::IdsAreFormValues => made(kind, &id.replace('+', " ")),
            Fault::IdsHaveNoDots => made(kind, &id.replace('.', "")),
            Fault::KindsAreIgnored => made("contract.sample", id),
            Fault::KindsIgnoreTheCase => made(&kind.to_lowercase(), id),
            Fault::KindsAndIdsAreOneText => made("contract", &format!("{kind}.{id}")),
            _ => key.clone(),
        }
    }
}

/// The start of a text, at most so many bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Whether two CIDs begin with the same bytes of a digest.
pub fn start_alike(one: &Cid, other: &Cid) -> bool {
    one.hash().digest()[..8] == other.hash().digest()[..8]
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
