//! The file of read models beside a file of events: where subscriptions are kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{Shared, SqliteReadModels, SqliteReadModelsOptions};
use crate::engine::sqlite::files;
use crate::engine::sqlite::options::{Access, SqliteOptions};
use crate::store::StoreError;
use crate::store::read_model::{ReadModelError, ReadModelStorage, ReadModelsBeside};

/// What is appended to the name of the file of events.
const SUFFIX: &str = "-subscriptions";

/// A file that is open as long as somebody uses it.
#[derive(Clone)]
pub(in crate::engine::sqlite) struct Beside {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    options: SqliteReadModelsOptions,
    open: Mutex<Weak<Shared>>,
}

impl Beside {
    /// The file beside that of events, which is named by its path without links.
    pub(in crate::engine::sqlite) fn new(events: &Path, options: &SqliteOptions) -> Self {
        let writable = SqliteReadModels::options().busy_timeout(options.busy_timeout);
        let options = match options.access {
            Access::ReadWrite => writable,
            _ => writable.read_only(),
        };
        Self {
            inner: Arc::new(Inner {
                path: files::beside(events, SUFFIX),
                options,
                open: Mutex::default(),
            }),
        }
    }
}

impl Inner {
    fn open(&self) -> Result<SqliteReadModels, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.upgrade() {
            return Ok(SqliteReadModels { shared });
        }
        let opened = self.options.open(&self.path)?;
        *open = Arc::downgrade(&opened.shared);
        Ok(opened)
    }
}

#[async_trait]
impl ReadModelsBeside for Beside {
    fn is_there(&self) -> bool {
        self.inner.path.exists()
    }

    async fn open(&self) -> Result<Arc<dyn ReadModelStorage>, ReadModelError> {
        let inner = Arc::clone(&self.inner);
        let (done, opened) = oneshot::channel();
        let opening = std::thread::Builder::new()
            .name("cim-es-open".into())
            .spawn(move || {
                // Whoever asked may have gone meanwhile.
                let _ = done.send(inner.open());
            });
        let opened = match opening {
            Ok(_) => opened.await.ok(),
            Err(_) => None,
        };
        let opened = opened.unwrap_or_else(|| self.inner.open())?;
        Ok(Arc::new(opened))
    }
}
