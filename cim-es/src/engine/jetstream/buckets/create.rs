//! Creating a bucket in one of the layouts that the tools of NATS know.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};

use crate::engine::jetstream::api::{Api, Leader, StreamInfo, errors};
use crate::engine::jetstream::retry;
use crate::store::StoreError;

/// What creating may take at least: servers that create several replicas take their time.
const CREATING: Duration = Duration::from_secs(5);

/// Which layout a bucket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    KeyValue,
    Objects,
}

impl Layout {
    /// The name of the stream under a bucket.
    pub(super) fn stream(self, name: &str) -> String {
        match self {
            Self::KeyValue => format!("KV_{name}"),
            Self::Objects => format!("OBJ_{name}"),
        }
    }

    /// The subjects of the stream under a bucket.
    pub(super) fn subjects(self, name: &str) -> Vec<String> {
        match self {
            Self::KeyValue => vec![format!("$KV.{name}.>")],
            Self::Objects => vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
        }
    }

    /// The stream under a bucket, as the tools of NATS make it.
    pub(super) fn config(self, name: &str, replicas: usize) -> Config {
        let common = Config {
            name: self.stream(name),
            subjects: self.subjects(name),
            num_replicas: replicas,
            discard: DiscardPolicy::New,
            max_messages: -1,
            max_bytes: -1,
            max_message_size: -1,
            max_consumers: -1,
            allow_rollup: true,
            allow_direct: true,
            ..Config::default()
        };
        match self {
            Self::KeyValue => Config {
                max_messages_per_subject: 1,
                deny_delete: true,
                duplicate_window: Duration::from_secs(120),
                ..common
            },
            Self::Objects => Config {
                max_messages_per_subject: -1,
                ..common
            },
        }
    }
}

/// How a bucket is made when it is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    /// How many servers keep it.
    pub(crate) replicas: usize,
    /// Whether it is made at all.
    pub(crate) creates: bool,
}

impl Making {
    pub(crate) fn with_replicas(replicas: usize) -> Self {
        Self {
            replicas,
            creates: true,
        }
    }
}

/// Creates a bucket, unless another program has a moment before.
pub(super) async fn create(
    api: &Api,
    name: &str,
    layout: Layout,
    making: Making,
) -> Result<StreamInfo, StoreError> {
    const OPERATION: &str = "creating";
    if !making.creates {
        return Err(StoreError::Incompatible {
            location: api.location(),
            reason:
                "it does not exist, and this program is not to create it: let an operator create it"
                    .to_owned(),
        });
    }
    let config = layout.config(name, making.replicas);
    let creating = api.with_timeout(api.timeout.max(CREATING));
    let mut retry = retry::REQUEST.within(api.patience);
    loop {
        let failure = match creating.ask::<StreamInfo>("STREAM.CREATE", &config).await {
            Ok(info) => return Ok(info),
            Err(failure) => failure,
        };
        // Another program was first, with other settings, or this one and its answer was lost.
        if failure.has_error(errors::STREAM_NAME_IN_USE)
            && let Some(found) = Leader::new(api).stream_info().await?
        {
            return Ok(found);
        }
        if !failure.is_transient() && !failure.has_error(errors::INSUFFICIENT_RESOURCES) {
            return Err(api.write_error(OPERATION, failure));
        }
        // A cluster that has just started has no room yet.
        if !retry.pause().await || api.has_ended() {
            return Err(api.write_error(OPERATION, failure));
        }
    }
}
