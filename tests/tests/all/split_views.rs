//! A view of documents in parts, shared by two programs, in a bucket and in a database.

use std::time::Duration;

use cim_es::jetstream::JetStreamReadModels;
use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager, SplitView};
use cim_es::store::read_model::{Page, ReadModelStorage};
use cim_es::store::*;
use cim_es::{PostgresOptions, PostgresReadModels};
use cim_es_tests::nats::{Server, User};
use cim_es_tests::postgres::Postgres;

use crate::jetstream::sample::*;
use crate::jetstream::{open, options};

const LIMIT: Duration = Duration::from_secs(60);
const TALLIES: usize = 12;

#[derive(Document, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Total {
    total: u64,
    events: u64,
}

#[derive(Projection)]
#[projection(name = "shared-totals", version = 1, events = [TallyEvent::{Counted}], documents = Total)]
struct Totals;

impl ProjectDocuments<TallyEvent> for Totals {
    async fn project(
        &self,
        event: TallyEvent,
        at: &Source<'_, Tally>,
        totals: &mut Documents<'_, Total>,
    ) -> Result<(), ProjectionError> {
        let mut total = totals.get(&at.id()).await?.unwrap_or_default();
        if let TallyEvent::Counted { number } = event {
            total.total += number;
            total.events += 1;
        }
        totals.put(&at.id(), total)?;
        Ok(())
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, waiting).await;
    waited.expect("it holds in time");
}

/// Two programs keep the view together, then one alone: each event counts once.
async fn is_shared<S: ReadModelStorage + Clone>(storage: S) {
    let client = Server::shared().connect(User::Operator).await;
    let store = open(client, &options(1)).await;
    let program = async || -> (ProjectionManager, SplitView<Total>) {
        let manager = ProjectionManager::new(store.clone());
        let opening = manager.documents::<Totals>(storage.clone());
        let opening = opening.lease(Duration::from_secs(1)).split().parts(4);
        let view = opening.await.expect("the view opens");
        (manager, view)
    };
    let keys: Vec<AggregateKey> = (0..TALLIES).map(|_| tally()).collect();
    let count = async |numbers: std::ops::Range<u64>| {
        let mut last = Position::START;
        for number in numbers {
            let key = keys[number as usize % TALLIES].clone();
            let request = commit().aggregate(key, ExpectedVersion::Any, vec![counted(number)]);
            last = store.append(request).await.unwrap()[0].position;
        }
        last
    };
    let (first, one) = program().await;
    one.wait_for(count(0..60).await, LIMIT).await.unwrap();
    let (second, other) = program().await;
    until(|| (one.status().kept_here(), other.status().kept_here()) == (2, 2)).await;
    let last = count(60..120).await;
    one.wait_for(last, LIMIT).await.unwrap();
    other.wait_for(last, LIMIT).await.unwrap();
    first.stop().await;
    let last = count(120..180).await;
    other.wait_for(last, LIMIT).await.unwrap();

    let found = other.list(&Page::first(1_000)).await.unwrap().value;
    let documents = found.documents.into_iter().map(|it| it.document);
    let (count, total, events) = documents.fold((0, 0, 0), |(count, total, events), document| {
        (count + 1, total + document.total, events + document.events)
    });
    assert_eq!((count, total, events), (TALLIES, (0..180).sum(), 180));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_share_a_view_in_a_bucket() {
    let client = Server::shared().connect(User::Operator).await;
    let bucket = format!("views-{}", Uuid::now_v7().simple());
    let storage = JetStreamReadModels::open(client, &bucket, 1).await;
    is_shared(storage.expect("the bucket opens")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_share_a_view_in_a_database() {
    let schema = format!("s{}", Uuid::now_v7().simple());
    let options = PostgresOptions::new(&Postgres::shared().url()).unwrap();
    let storage = PostgresReadModels::open_with(options.schema(&schema)).await;
    is_shared(storage.expect("the schema opens")).await;
}
