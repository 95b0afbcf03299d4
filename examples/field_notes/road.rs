//! The way to the server, which a valley does not have.

use std::sync::Arc;

use async_trait::async_trait;
use cim_es::hybrid::{ConnectFailure, Connector, RemoteStore};

/// Why nothing is reached from the valley.
#[derive(Debug, thiserror::Error)]
#[error("there is no network in the valley")]
struct NoNetwork;

/// A way to the server, open or not.
#[derive(Clone)]
pub struct Road {
    to: Arc<dyn Connector>,
    is_open: bool,
}

impl Road {
    /// A way that is open.
    pub fn to(server: impl Connector) -> Self {
        Self {
            to: Arc::new(server),
            is_open: true,
        }
    }

    /// The same from the valley.
    pub fn from_the_valley(&self) -> Self {
        Self {
            to: Arc::clone(&self.to),
            is_open: false,
        }
    }
}

#[async_trait]
impl Connector for Road {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        match self.is_open {
            true => self.to.connect().await,
            false => Err(Arc::new(NoNetwork)),
        }
    }

    fn is_connected(&self) -> Option<bool> {
        match self.is_open {
            true => self.to.is_connected(),
            false => Some(false),
        }
    }
}
