//! A subscriber: finds its stream and starts subscriptions.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::builder::SubscriptionStart;
use super::coordination::Coordination;
use super::feed::Source;
use super::group::Group;
use super::live::Live;
use super::membership::Membership;
use super::plan::{Mode, Plan};
use super::{Subscription, SubscriptionError};
use crate::domain::subject::pattern::overlaps;
use crate::engine::jetstream::api::Api;
use crate::store::{Position, StoreError};

/// What listens to events; [`EventSubscriberBuilder`](super::EventSubscriberBuilder) makes it.
#[derive(Clone)]
pub struct EventSubscriber {
    plan: Arc<Plan>,
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

impl EventSubscriber {
    pub(super) fn new(plan: Plan) -> Self {
        let plan = Arc::new(plan);
        Self { plan }
    }

    /// Starts a subscription. What is appended once this has returned reaches the handler.
    ///
    /// # Errors
    /// [`SubscriptionError`] says what keeps it from starting.
    pub async fn subscribe(&self) -> Result<Subscription, SubscriptionError> {
        let source = self.source().await?;
        let first = self.first_position(&source).await?;
        match &self.plan.mode {
            Mode::Live { .. } => {
                let live = Live {
                    source,
                    after: first,
                };
                Ok(Subscription::spawn(|stop| live.run(stop)))
            }
            Mode::Durable { lease, .. } | Mode::Partitioned { lease, .. } => {
                let membership = Membership {
                    coordination: self.coordination(&source).await?,
                    first,
                    source,
                    lease: *lease,
                };
                let member = membership.join().await?;
                Ok(Subscription::spawn(|stop| member.run(stop)))
            }
            Mode::Group { concurrency, .. } => {
                let group = Group {
                    coordination: self.coordination(&source).await?,
                    first,
                    source,
                    concurrency: *concurrency,
                };
                group.prepare().await?;
                Ok(Subscription::spawn(|stop| group.run(stop)))
            }
        }
    }

    async fn coordination(&self, source: &Source) -> Result<Coordination, StoreError> {
        Coordination::open(
            &self.plan.connection,
            self.plan.mode.name(),
            source.replicas,
        )
        .await
    }

    async fn first_position(&self, source: &Source) -> Result<Position, StoreError> {
        match self.plan.start {
            SubscriptionStart::First => Ok(Position::START),
            SubscriptionStart::Now => source.last().await,
            SubscriptionStart::After(position) => Ok(position),
        }
    }

    /// The stream, which must keep what is wanted.
    async fn source(&self) -> Result<Source, SubscriptionError> {
        let stream = match &self.plan.stream {
            Some(stream) => stream.clone(),
            None => self.find_stream().await?,
        };
        let api = Api::new(&self.plan.connection, &stream);
        let info = api.subject("STREAM.INFO");
        let info: Info = api
            .ask_patiently(&info, &json!({}), "look at the stream")
            .await?;
        let kept = &info.config.subjects;
        for pattern in self.plan.wanted.patterns() {
            let stored = self.plan.layout.filter(pattern);
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
            plan: Arc::clone(&self.plan),
            replicas: info.config.num_replicas.max(1),
        })
    }

    async fn find_stream(&self) -> Result<String, SubscriptionError> {
        // The builder made sure of a pattern.
        let pattern = self.plan.wanted.patterns().next().unwrap_or(">").to_owned();
        let api = Api::new(&self.plan.connection, "");
        let subject = format!("{}.STREAM.NAMES", api.prefix);
        let stored = self.plan.layout.filter(&pattern);
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

impl std::fmt::Debug for EventSubscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSubscriber")
            .field("mode", &self.plan.mode)
            .field("wanted", &self.plan.wanted)
            .finish_non_exhaustive()
    }
}
