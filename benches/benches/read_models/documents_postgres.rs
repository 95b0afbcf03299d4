//! Documents in PostgreSQL beside bare `tokio-postgres`: the same rows, by the same upserts, in transactions of the same
//! size, in the same server.

use std::path::Path;
use std::time::{Duration, Instant};

use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::store::read_model::DocumentChange;
use cim_es::{PostgresOptions, PostgresReadModels};
use cim_es_tests::postgres::Postgres;
use tokio_postgres::NoTls;

use crate::Settings;
use crate::documents_sqlite::changes;
use crate::fixture::{Cards, PATIENCE, end, filled, open};
use crate::report::rate;

pub async fn measure(settings: &Settings) {
    let documents = settings.documents;
    let events = filled(&settings.directory, documents, documents).await;
    let changes = changes(documents);
    let server = Postgres::start();
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..settings.rounds {
        best.1 = best.1.min(time_bare(&server, &changes).await);
        best.0 = best.0.min(time_view(&server, &events).await);
    }
    let what = "documents on PostgreSQL, catching up";
    rate(what, documents, best.0, best.1, "0.6x");
}

fn schema() -> String {
    format!("t{}", Uuid::now_v7().simple())
}

async fn time_view(server: &Postgres, events: &Path) -> Duration {
    let options = PostgresOptions::new(&server.url()).expect("an address");
    let storage = PostgresReadModels::open_with(options.schema(schema())).await;
    let storage = storage.expect("it opens");
    let store = open(events);
    let end = end(&store).await;
    let start = Instant::now();
    let projections = ProjectionManager::new(store);
    let cards = projections.documents::<Cards>(storage).await;
    let cards = cards.expect("it opens");
    cards.wait_for(end, PATIENCE).await.expect("it counts all");
    let taken = start.elapsed();
    projections.stop().await;
    taken
}

async fn time_bare(server: &Postgres, changes: &[Vec<DocumentChange>]) -> Duration {
    let connected = tokio_postgres::connect(&server.url(), NoTls).await;
    let (mut client, connection) = connected.expect("it connects");
    tokio::spawn(connection);
    let schema = schema();
    let tables = format!(
        "CREATE SCHEMA {schema}; SET search_path TO {schema};
         CREATE TABLE documents (view int8 NOT NULL, key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (view, key));
         CREATE TABLE views (number int8 PRIMARY KEY, position int8 NOT NULL);
         INSERT INTO views VALUES (1, 0);"
    );
    client.batch_execute(&tables).await.expect("they are made");
    let upsert = client.prepare(
        "INSERT INTO documents (view, key, value) SELECT $1, * FROM unnest($2::bytea[], $3::bytea[])
         ON CONFLICT (view, key) DO UPDATE SET value = EXCLUDED.value",
    );
    let upsert = upsert.await.expect("it is prepared");
    let advance = client.prepare("UPDATE views SET position = position + 1");
    let advance = advance.await.expect("it is prepared");
    let start = Instant::now();
    for documents in changes {
        let transaction = client.transaction().await.expect("it begins");
        let keys: Vec<&[u8]> = documents.iter().map(|it| it.key.as_bytes()).collect();
        let values: Vec<&[u8]> = documents
            .iter()
            .filter_map(|it| it.value.as_deref())
            .collect();
        let view = 1_i64;
        let rows = transaction.execute(&upsert, &[&view, &keys, &values]).await;
        rows.expect("they are written");
        let row = transaction.execute(&advance, &[]).await;
        row.expect("it is written");
        transaction.commit().await.expect("it is stored");
    }
    start.elapsed()
}
