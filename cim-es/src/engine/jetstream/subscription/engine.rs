//! How JetStream runs subscriptions: finds the stream and starts what reads it.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryFutureExt;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::SubscriptionError;
use super::coordination::Coordination;
use super::failure::named;
use super::feed::Source;
use super::group::Group;
use super::live::Live;
use super::membership::Membership;
use super::parked::Parked;
use crate::domain::subject::Subjects;
use crate::domain::subject::pattern::overlaps;
use crate::engine::jetstream::api::Api;
use crate::engine::jetstream::connect::Connection;
use crate::store::subscription::{
    KeepsParked, Mode, Plan, Subscription, SubscriptionEngine, SubscriptionStart,
};
use crate::store::{Position, StoreError, StoredSubjects};

/// Subscriptions on one connection: on a stream by its name, or on the one that keeps the events.
#[derive(Clone)]
pub(crate) struct JetStreamSubscriptions {
    pub(crate) connection: Connection,
    /// The stream by name; none where it is to be looked up.
    pub(crate) stream: Option<String>,
    pub(crate) layout: StoredSubjects,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Info {
    created: String,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    num_replicas: usize,
}

#[async_trait]
impl SubscriptionEngine for JetStreamSubscriptions {
    fn check(&self, _: &Mode) -> Result<(), SubscriptionError> {
        Ok(())
    }

    async fn subscribe(&self, asked: Arc<Plan>) -> Result<Subscription, SubscriptionError> {
        self.start(asked).await.map_err(named)
    }

    async fn parked(&self, name: &str) -> Result<Arc<dyn KeepsParked>, SubscriptionError> {
        let coordination = Coordination::find(&self.connection, name).await;
        let coordination = coordination.and_then(|found| found.ok_or_else(Coordination::missing));
        let coordination = coordination.map_err(|error| named(error.into()))?;
        Ok(Arc::new(Parked { coordination }))
    }
}

impl JetStreamSubscriptions {
    async fn start(&self, plan: Arc<Plan>) -> Result<Subscription, SubscriptionError> {
        let source = self.source(&plan).await?;
        let first = first_position(plan.start, &source).await?;
        match &plan.mode {
            Mode::Live { .. } => {
                let live = Live::new(source, first);
                Ok(running(|stop| live.run(stop)))
            }
            Mode::Durable { lease, .. } | Mode::Partitioned { lease, .. } => {
                let membership = Membership {
                    coordination: coordination(&source).await?,
                    first,
                    source,
                    lease: *lease,
                };
                let member = membership.join().await?;
                Ok(running(|stop| member.run(stop)))
            }
            Mode::Group { concurrency, .. } => {
                let group = Group {
                    coordination: coordination(&source).await?,
                    first,
                    source,
                    concurrency: *concurrency,
                };
                group.prepare().await?;
                Ok(running(|stop| group.run(stop)))
            }
        }
    }

    /// The stream, which must keep what is wanted.
    async fn source(&self, plan: &Arc<Plan>) -> Result<Source, SubscriptionError> {
        let stream = match &self.stream {
            Some(stream) => stream.clone(),
            None => self.find_stream(&plan.wanted).await?,
        };
        let api = Api::new(&self.connection, &stream);
        let info = api.subject("STREAM.INFO");
        let info: Info = api
            .ask_patiently(&info, &json!({}), "look at the stream")
            .await?;
        let kept = &info.config.subjects;
        for pattern in plan.wanted.patterns() {
            let stored = self.layout.filter(pattern);
            if !kept.iter().any(|subject| overlaps(subject, &stored)) {
                return Err(SubscriptionError::NotKept {
                    stream,
                    kept: kept.join(", "),
                    pattern: pattern.to_owned(),
                });
            }
        }
        Ok(Source {
            api: api.of_stream(&info.created),
            plan: Arc::clone(plan),
            layout: self.layout.clone(),
            replicas: info.config.num_replicas.max(1),
        })
    }

    async fn find_stream(&self, wanted: &Subjects) -> Result<String, SubscriptionError> {
        // The builder made sure of a pattern.
        let pattern = wanted.patterns().next().unwrap_or(">").to_owned();
        let api = Api::new(&self.connection, "");
        let subject = format!("{}.STREAM.NAMES", api.prefix);
        let stored = self.layout.filter(&pattern);
        let query = json!({ "subject": stored });
        let names: Names = api
            .ask_patiently(&subject, &query, "look for the stream")
            .await?;
        let mut names = names.streams.unwrap_or_default();
        match (names.pop(), names.len()) {
            (Some(name), 0) => Ok(name),
            (None, _) => Err(SubscriptionError::NoSingleStream {
                found: "no stream".to_owned(),
                pattern,
                advice: "open an event store for them first, which creates it, or correct the pattern",
            }),
            (Some(name), others) => Err(SubscriptionError::NoSingleStream {
                found: format!("{name} and {others} more streams"),
                pattern,
                advice: "say which one with `stream(…)`, and subscribe to each on its own",
            }),
        }
    }
}

async fn coordination(source: &Source) -> Result<Coordination, StoreError> {
    let name = source.plan.mode.name();
    Coordination::open(&source.api.connection, name, source.replicas).await
}

async fn first_position(start: SubscriptionStart, source: &Source) -> Result<Position, StoreError> {
    match start {
        SubscriptionStart::First => Ok(Position::START),
        SubscriptionStart::Now => source.last().await,
        SubscriptionStart::After(position) => Ok(position),
    }
}

/// Runs a subscription, which ends with the words that a person knows.
fn running<F>(run: impl FnOnce(CancellationToken) -> F) -> Subscription
where
    F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
{
    Subscription::spawn(|stop| run(stop).map_err(named))
}
