//! Creating a bucket in one of the layouts that the tools of NATS know.

use std::error::Error;

use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{kv, object_store};

use super::failure::{Failure, Operation, patiently};
use crate::engine::jetstream::api::errors;
use crate::engine::jetstream::connect::{Connection, PermissionDenied};
use crate::store::StoreError;

/// Codes of a cluster that has just started, and does not know all of its servers yet.
const NOT_YET: [u64; 2] = [errors::NO_PEERS, errors::INSUFFICIENT_RESOURCES];

/// Which layout a bucket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
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
}

/// Creates a bucket, unless another program has a moment before.
pub(super) async fn create(
    connection: &Connection,
    name: &str,
    layout: Layout,
    replicas: usize,
    place: &str,
) -> Result<Stream, StoreError> {
    // Servers that create several replicas take their time: the client's own timeout stays.
    let context = connection.jetstream();
    let stream_name = layout.stream(name);
    let suffix = format!(".STREAM.CREATE.{stream_name}");
    let concerns = |refused: &PermissionDenied| {
        refused.subject.ends_with(&suffix) || refused.subject.ends_with(".INFO")
    };
    patiently(connection, place, Operation::Create, || async {
        let work = async {
            match layout {
                Layout::KeyValue => {
                    let config = kv::Config {
                        bucket: name.to_owned(),
                        history: 1,
                        num_replicas: replicas,
                        ..kv::Config::default()
                    };
                    let created = context.create_key_value(config).await;
                    created.map(drop).map_err(|error| failure(&error))
                }
                Layout::Objects => {
                    let config = object_store::Config {
                        bucket: name.to_owned(),
                        num_replicas: replicas,
                        ..object_store::Config::default()
                    };
                    let created = context.create_object_store(config).await;
                    created.map(drop).map_err(|error| failure(&error))
                }
            }
        };
        let created = connection.unless_refused(concerns, work).await;
        if let Err(denied) = created {
            return Err(Failure::Denied(denied));
        }
        // Another program may have created it a moment before, with other settings.
        match (created, context.get_stream(&stream_name).await) {
            (_, Ok(stream)) => Ok(stream),
            (Ok(Err(failure)), Err(_)) => Err(failure),
            (_, Err(error)) => Err(Failure::Passing(error.to_string())),
        }
    })
    .await
}

/// What kept a bucket from being created: the server's own words where it gave some, which stand under the client's.
fn failure(error: &(dyn Error + 'static)) -> Failure {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<CreateStreamError>()
            && let CreateStreamErrorKind::JetStream(error) = error.kind()
        {
            let (code, number) = (error.code() as u16, error.error_code().0);
            if NOT_YET.contains(&number) {
                return Failure::Passing(error.to_string());
            }
            return Failure::of_server(code, number, error.to_string());
        }
        next = error.source();
    }
    Failure::Passing(error.to_string())
}
