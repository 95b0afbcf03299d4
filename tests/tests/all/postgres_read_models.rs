//! Read models in PostgreSQL: against those in memory, with the server away, with connections cut, with tables changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::store::read_model::*;
use cim_es::store::{Bookmark, Position, StoreError};
use cim_es::{ErrorChain, MemoryReadModels, PostgresOptions, PostgresReadModels};
use cim_es_tests::postgres::Postgres;

use crate::jetstream::random::Random;

/// Longer than a server takes to start again on a machine that is busy.
const LEASE: Duration = Duration::from_secs(3_600);

fn schema() -> String {
    format!("t{}", Uuid::now_v7().simple())
}

fn options(server: &Postgres, schema: &str) -> PostgresOptions {
    PostgresOptions::new(&server.url()).unwrap().schema(schema)
}

async fn open(server: &Postgres, schema: &str) -> PostgresReadModels {
    PostgresReadModels::open_with(options(server, schema))
        .await
        .unwrap()
}

fn cards() -> ViewDeclaration {
    ViewDeclaration::new(ViewId::new("cards", 1).unwrap(), u64::MAX)
}

fn at(position: u64) -> Bookmark {
    Position(position).into()
}

async fn text(client: &tokio_postgres::Client, sql: &str) {
    client.batch_execute(sql).await.unwrap();
}

async fn client(server: &Postgres) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// The same commits, random ones, lead to the same answers as in memory.
#[tokio::test]
async fn the_database_answers_as_the_memory_does() {
    let random = Random::new(7);
    let storages: [Arc<dyn ReadModelStorage>; 2] = [
        Arc::new(MemoryReadModels::new()),
        Arc::new(open(Postgres::shared(), &schema()).await),
    ];
    let me = Uuid::now_v7();
    for storage in &storages {
        storage.open_view(&cards()).await.unwrap();
        storage.hold(&cards().view, me, LEASE).await.unwrap();
    }
    let view = &cards().view;
    let odd = [
        "a",
        "A",
        "a\0",
        "ä",
        "\u{10ffff}",
        " ",
        "'; DROP TABLE views; --",
        "%",
        "_",
        "é",
    ];
    let key = |random: &Random| match random.once_in(3) {
        true => (*random.one_of(&odd)).to_owned(),
        false => format!("key {}", random.within(0..60)),
    };
    for round in 0..150 {
        let mut documents = Vec::<DocumentChange>::new();
        for _ in 0..random.within(0..20) {
            let key = key(&random);
            if documents.iter().any(|there| there.key == key) {
                continue;
            }
            let mut change = match random.once_in(5) {
                true => DocumentChange::delete(key),
                false => {
                    DocumentChange::put(key, vec![round as u8; random.within(0..5_000) as usize])
                }
            };
            if change.value.is_some() {
                for _ in 0..random.within(0..3) {
                    change = change.indexed("reader", format!("r{}\0", random.within(0..4)));
                }
            }
            documents.push(change);
        }
        let changes = ViewChanges::new(me, at(round), at(round + 1)).with_documents(documents);
        for storage in &storages {
            storage.commit(view, changes.clone()).await.unwrap();
        }
        let keys: Vec<_> = (0..5).map(|_| key(&random)).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let entry = IndexEntry::new("reader", format!("r{}\0", random.within(0..5)));
        let mut page = Page::first(random.within(1..30) as usize);
        if random.once_in(2) {
            page = page.after(key(&random));
        }
        let [memory, database] = &storages;
        let (one, other) = (
            memory.read(view, &keys).await,
            database.read(view, &keys).await,
        );
        assert_eq!(one.unwrap(), other.unwrap(), "round {round}: {keys:?}");
        let (one, other) = (
            memory.find(view, &entry, &page).await,
            database.find(view, &entry, &page).await,
        );
        assert_eq!(
            one.unwrap(),
            other.unwrap(),
            "round {round}: {entry:?} {page:?}"
        );
        let (one, other) = (
            memory.list(view, &page).await,
            database.list(view, &page).await,
        );
        assert_eq!(one.unwrap(), other.unwrap(), "round {round}: {page:?}");
    }
}

#[tokio::test]
async fn what_is_known_of_a_view_comes_back_as_it_was_written() {
    let schema = schema();
    let models = open(Postgres::shared(), &schema).await;
    let declared = cards().settled_up_to(Position(u64::MAX - 1));
    let record = models.open_view(&declared).await.unwrap();
    assert_eq!(record, ViewRecord::new(&declared));
    let me = Uuid::now_v7();
    models.hold(&declared.view, me, LEASE).await.unwrap();
    let parked = Parked {
        bookmark: at(9),
        event_type: "library.card.lost\0".to_owned(),
        reason: "no “room”".to_owned(),
        since: Timestamp::from_micros(-7),
    };
    let skipped = Skipped {
        bookmark: at(5),
        event_type: "library.card.lost".to_owned(),
        reason: "a mistake".to_owned(),
        at: Timestamp::from_micros(1),
        by: "Ann".to_owned(),
    };
    let changes = ViewChanges::new(me, at(0), at(8))
        .parked(parked.clone())
        .skipping(skipped.clone());
    models.commit(&declared.view, changes).await.unwrap();
    // Another program sees it.
    let other = open(Postgres::shared(), &schema).await;
    let [record] = &*other.views("cards").await.unwrap() else {
        panic!("one version");
    };
    assert_eq!(
        (record.up_to, record.settled),
        (at(8), Position(u64::MAX - 1))
    );
    assert_eq!(
        (record.parked.as_ref(), &*record.skipped),
        (Some(&parked), &[skipped][..])
    );
    assert_eq!(record.held.map(|held| held.holder), Some(me));
    let hold = other
        .hold(&declared.view, Uuid::now_v7(), LEASE)
        .await
        .unwrap();
    assert!(
        matches!(hold, Hold::HeldByAnother { holder, .. } if holder == me),
        "{hold:?}"
    );
    assert_eq!(other.views("cards\0").await.unwrap(), []);
}

#[tokio::test]
async fn programs_that_open_a_database_at_once_make_the_tables_once() {
    let schema = schema();
    let server = Postgres::shared();
    let opened = (0..8).map(|_| PostgresReadModels::open_with(options(server, &schema)));
    let opened = futures_util::future::join_all(opened).await;
    for models in opened {
        models.unwrap().open_view(&cards()).await.unwrap();
    }
}

/// A program that commits, and does each commit again until it knows that it is there, ends with each of them once,
/// whichever of its connections are cut in the middle of what.
#[tokio::test(flavor = "multi_thread")]
async fn commits_count_once_while_connections_are_cut() {
    const COMMITS: u64 = 100;
    const CUTS: usize = 6;
    let server = Postgres::shared();
    let schema = schema();
    let models = open(server, &schema).await;
    let (view, me) = (cards().view, Uuid::now_v7());
    models.open_view(&cards()).await.unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let cuts = Arc::new(AtomicUsize::new(0));
    let cutting = tokio::spawn({
        let (operator, schema) = (client(server).await, schema.clone());
        let (is_done, cuts) = (Arc::clone(&is_done), Arc::clone(&cuts));
        async move {
            // Those of this test, which have asked for its tables last.
            let cut = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                 AND pid IN (SELECT pid FROM pg_locks WHERE relation IN (SELECT oid FROM pg_class WHERE \
                 relnamespace = '{schema}'::regnamespace))"
            );
            while !is_done.load(Ordering::Relaxed) {
                let cut = operator.query(&cut, &[]).await.unwrap().len();
                cuts.fetch_add(cut, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(12)).await;
            }
        }
    });
    let passes = |error: ReadModelError| {
        assert!(error.is_transient(), "{}", ErrorChain(&error));
    };
    let mut position = 0;
    while position < COMMITS || cuts.load(Ordering::Relaxed) < CUTS {
        match models.views("cards").await {
            Ok(records) => position = records[0].up_to.position.0,
            Err(error) => {
                passes(error);
                continue;
            }
        }
        if let Err(error) = models.hold(&view, me, LEASE).await {
            passes(error);
            continue;
        }
        // Each document has the number of the commits that wrote it.
        let key = format!("{}", position % 7);
        let count = match models.read(&view, &[&key]).await {
            Ok(read) => read.value[0]
                .as_ref()
                .map_or(0, |value| u64::from_be_bytes(value[..].try_into().unwrap())),
            Err(error) => {
                passes(error);
                continue;
            }
        };
        let document = DocumentChange::put(key, (count + 1).to_be_bytes().to_vec())
            .indexed("count", count.to_string());
        let changes =
            ViewChanges::new(me, at(position), at(position + 1)).with_documents(vec![document]);
        models.commit(&view, changes).await.unwrap_or_else(passes);
    }
    is_done.store(true, Ordering::Relaxed);
    cutting.await.unwrap();
    let models = open(server, &schema).await;
    let page = models.list(&view, &Page::default()).await.unwrap();
    let counts = page
        .value
        .documents
        .iter()
        .map(|it| u64::from_be_bytes(it.value[..].try_into().unwrap()));
    assert_eq!(counts.sum::<u64>(), page.position.0);
    for document in page.value.documents {
        let count = u64::from_be_bytes(document.value[..].try_into().unwrap());
        let entry = IndexEntry::new("count", (count - 1).to_string());
        let found = models.find(&view, &entry, &Page::default()).await.unwrap();
        assert!(
            found
                .value
                .documents
                .iter()
                .any(|it| it.key == document.key),
            "{}",
            document.key
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_and_found_again() {
    let mut server = tokio::task::block_in_place(Postgres::start);
    let schema = schema();
    let models = open(&server, &schema).await;
    let (view, me) = (cards().view, Uuid::now_v7());
    models.open_view(&cards()).await.unwrap();
    models.hold(&view, me, LEASE).await.unwrap();
    let changes = |from| {
        ViewChanges::new(me, at(from), at(from + 1))
            .with_documents(vec![DocumentChange::put("a", vec![1])])
    };
    models.commit(&view, changes(0)).await.unwrap();
    server.kill();
    for error in [
        models.read(&view, &["a"]).await.map(|_| ()).unwrap_err(),
        models.commit(&view, changes(1)).await.unwrap_err(),
        PostgresReadModels::open_with(options(&server, &schema))
            .await
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert!(error.is_transient(), "{}", ErrorChain(&error));
    }
    tokio::task::block_in_place(|| server.restart());
    let position = models.read(&view, &["a"]).await.unwrap().position;
    models.commit(&view, changes(position.0)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_opened_is_told() {
    let server = Postgres::shared();
    let told = async |options: Result<PostgresOptions, ReadModelError>| {
        let opened = match options {
            Ok(options) => PostgresReadModels::open_with(options).await.map(|_| ()),
            Err(error) => Err(error),
        };
        ErrorChain(&opened.unwrap_err()).to_string()
    };
    let text = told(PostgresOptions::new(
        "postgresql://secret:word@local host/x?y=z",
    ))
    .await;
    assert!(
        text.starts_with("the PostgreSQL database cannot be used: its address cannot be read ("),
        "{text}"
    );
    assert!(!text.contains("word"), "{text}");
    let text = told(Ok(options(server, "My Schema"))).await;
    assert!(
        text.contains("`My Schema` is not taken as the name of a schema"),
        "{text}"
    );
    let unknown = server.url().replace("/postgres", "/unknown");
    let text = told(PostgresOptions::new(&unknown)).await;
    assert!(
        text.starts_with(&format!(
            "database `unknown` on {} cannot be used: connecting: ",
            server.address()
        )),
        "{text}"
    );

    let schema = schema();
    let models = open(server, &schema).await;
    models.open_view(&cards()).await.unwrap();
    let operator = client(server).await;
    text_of(&operator, &schema, "UPDATE format SET version = 9").await;
    let newer = told(Ok(options(server, &schema))).await;
    assert!(
        newer.contains("have version [9], this program knows 1"),
        "{newer}"
    );
    text_of(&operator, &schema, "UPDATE format SET version = 1").await;
    text_of(&operator, &schema, "UPDATE views SET skipped = 'x'").await;
    let error = models.views("cards").await.unwrap_err();
    assert!(
        matches!(error, ReadModelError::Storage(StoreError::Damaged(_))),
        "{error}"
    );
    text_of(&operator, &schema, "ALTER TABLE documents RENAME TO papers").await;
    let error = open(server, &schema)
        .await
        .read(&cards().view, &["a"])
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("a table is not as it was made"), "{error}");
}

async fn text_of(operator: &tokio_postgres::Client, schema: &str, sql: &str) {
    text(operator, &format!("SET search_path TO {schema}; {sql}")).await;
}

#[tokio::test]
async fn a_user_without_the_right_is_told() {
    let server = Postgres::shared();
    let schema = schema();
    open(server, &schema)
        .await
        .open_view(&cards())
        .await
        .unwrap();
    let operator = client(server).await;
    text(
        &operator,
        &format!(
            "CREATE ROLE reader_{schema} LOGIN; GRANT USAGE ON SCHEMA {schema} TO reader_{schema}; \
             GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader_{schema}"
        ),
    )
    .await;
    let url = server
        .url()
        .replace("postgres@", &format!("reader_{schema}@"));
    let reader = PostgresOptions::new(&url).unwrap().schema(&schema);
    let reader = PostgresReadModels::open_with(reader).await.unwrap();
    reader.list(&cards().view, &Page::default()).await.unwrap();
    let error = reader
        .hold(&cards().view, Uuid::now_v7(), LEASE)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ReadModelError::Storage(StoreError::ReadOnly { .. })),
        "{error}"
    );
}
