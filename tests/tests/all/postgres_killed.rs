//! A program that keeps a view in PostgreSQL is killed, again and again, while another one goes on with commands: each event
//! counts once all the same, and nobody ever sees a part of a commit.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::{
    DocumentsView, PostgresTablesView, ProjectDocuments, ProjectionError, ProjectionManager,
};
use cim_es::repository::Together;
use cim_es::store::read_model::Page;
use cim_es::store::*;
use cim_es::{PostgresOptions, PostgresReadModels};
use cim_es_tests::postgres::Postgres;

use crate::jetstream::random::Random;
use crate::postgres_tables::{Sums, total};

/// What the child is started for: the file of the events, the address and the schema of the view.
const ORDERS: &str = "CIM_ES_TEST_POSTGRES_ORDERS";
pub const LIMIT: Duration = Duration::from_secs(60);
const TILLS: u128 = 5;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TillState {
    #[state(initial)]
    #[on(Move / Moved => _)]
    Open,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TillEvent {
    #[apply(balance += amount)]
    Moved { amount: i64 },
}

#[derive(Command, Clone, Debug)]
pub enum TillCommand {
    Move { amount: i64 },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "shop", name = "till")]
pub struct Till {
    pub state: TillState,
    pub balance: i64,
}

impl Decide for Till {
    fn decide(&self, command: TillCommand, _: &Context) -> Decision<Self> {
        let TillCommand::Move { amount } = command;
        emit(TillEvent::Moved { amount })
    }
}

/// What is in a till, and how many times something was moved.
#[derive(Document, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Balance {
    amount: i64,
    #[index]
    moves: u64,
}

#[derive(Projection)]
#[projection(name = "balances", version = 1, events = [TillEvent], documents = Balance)]
struct Balances;

impl ProjectDocuments<TillEvent> for Balances {
    async fn project(
        &self,
        event: TillEvent,
        at: &Source<'_, Till>,
        balances: &mut Documents<'_, Balance>,
    ) -> Result<(), ProjectionError> {
        let TillEvent::Moved { amount } = event;
        let mut balance = balances.get(&at.id()).await?.unwrap_or_default();
        balance.amount += amount;
        balance.moves += 1;
        balances.put(&at.id(), balance)?;
        Ok(())
    }
}

fn till(number: u128) -> Id<Till> {
    Uuid::from_u128(number % TILLS + 1).into()
}

/// Moves an amount from one till to another, in one commit: the sum of all stays zero.
pub async fn transfer(tills: &Repository<Till>, number: u64) -> Position {
    let amount = i64::try_from(number % 17).unwrap() + 1;
    let identity = MessageIdentity::new_from_user("test");
    let moved = |amount| TillCommand::Move { amount };
    let (from, to) = (till(number.into()), till(u128::from(number) + 1));
    let commits = Together::new(&identity)
        .execute(tills, &from, moved(-amount))
        .execute(tills, &to, moved(amount))
        .commit()
        .await
        .unwrap();
    commits[1].position()
}

/// Both views of one program: in documents, and in tables of its own.
async fn open(
    orders: &[String; 3],
) -> (
    SqliteEventStore,
    DocumentsView<Balance>,
    PostgresTablesView,
    ProjectionManager,
) {
    let [file, url, schema] = orders;
    let store = SqliteEventStore::open(Path::new(file)).unwrap();
    let options = PostgresOptions::new(url).unwrap().schema(schema);
    let storage = PostgresReadModels::open_with(options).await.unwrap();
    let projections = ProjectionManager::new(store.clone());
    let opening = projections.documents::<Balances>(storage.clone());
    let view = opening.lease(Duration::from_millis(300)).await.unwrap();
    let opening = projections.postgres_tables::<Sums>(storage);
    let sums = opening.lease(Duration::from_millis(300)).await.unwrap();
    (store, view, sums, projections)
}

fn start(orders: &[String; 3]) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            &format!("{module}::a_program_that_counts_until_it_is_killed"),
        ])
        .arg("--test-threads=1")
        .env(ORDERS, serde_json::to_string(orders).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_when_each_event_counts_once_in_every_row() {
    let kills = if std::env::var_os("CIM_ES_LONG").is_some() {
        200
    } else {
        15
    };
    let directory = std::env::temp_dir().join(format!("cim-es-view-{}", Uuid::now_v7()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("events.db").display().to_string();
    let server = tokio::task::block_in_place(Postgres::shared);
    let orders = [file, server.url(), format!("k{}", Uuid::now_v7().simple())];
    let random = Random::new(u64::from(std::process::id()));

    let (store, watched, watched_sums, projections) = open(&orders).await;
    let tills = Repository::<Till>::new(store.clone());
    let first = transfer(&tills, 0).await;
    watched.wait_for(first, LIMIT).await.unwrap();
    watched_sums.wait_for(first, LIMIT).await.unwrap();
    // This program writes and looks; from here on the others keep the view.
    projections.stop().await;
    let mut number = 0;
    for _ in 0..kills {
        let mut child = start(&orders);
        let end = tokio::time::Instant::now() + Duration::from_millis(random.within(300..1_200));
        while tokio::time::Instant::now() < end {
            number += 1;
            transfer(&tills, number).await;
            let page = watched.list(&Page::first(100)).await.unwrap();
            let sum: i64 = page
                .value
                .documents
                .iter()
                .map(|it| it.document.amount)
                .sum();
            assert_eq!(
                sum, 0,
                "a part of a commit is seen at position {}",
                page.position
            );
            let (sum, moves) = total(&watched_sums).await;
            assert_eq!(
                (sum, moves % 2),
                (0, 0),
                "a part of a commit is seen in a table"
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let counted = watched.list(&Page::first(1)).await.unwrap().position;
    assert!(counted > first, "no child ever came to count");

    let (_, view, sums, projections) = open(&orders).await;
    let last = store.last_position().await.unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    sums.wait_for(last, LIMIT).await.unwrap();
    let page = view.list(&Page::first(100)).await.unwrap();
    let found: BTreeMap<_, _> = (page.value.documents.into_iter())
        .map(|it| (it.key, it.document))
        .collect();
    let mut fold = BTreeMap::<String, Balance>::new();
    let mut movements = Vec::new();
    let mut events = store.read_all(Position::START);
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        let TillEvent::Moved { amount } = event.decode().unwrap();
        let balance = fold.entry(event.envelope.aggregate_id.clone()).or_default();
        balance.amount += amount;
        balance.moves += 1;
        movements.push((event.position, event.envelope.aggregate_id.clone(), amount));
    }
    assert_eq!(found, fold);
    let snapshot = sums.snapshot().await.unwrap();
    assert_eq!(snapshot.position(), last);
    let rows = snapshot.query("SELECT id::text, sum, moves FROM {tills}", &[]);
    let rows = rows.await.unwrap().into_iter().map(|row| {
        let (amount, moves) = (row.get(1), row.get::<_, i64>(2) as u64);
        (row.get(0), Balance { amount, moves })
    });
    assert_eq!(rows.collect::<BTreeMap<String, _>>(), fold);
    let sql = "SELECT position, till::text, amount FROM {movements} ORDER BY position";
    let rows = snapshot.query(sql, &[]).await.unwrap();
    let rows = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2)));
    assert_eq!(rows.collect::<Vec<(Position, String, i64)>>(), movements);
    eprintln!(
        "{kills} kills, {} events, counted up to {counted} by those killed",
        last
    );
    projections.stop().await;
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test above, which kills it"]
async fn a_program_that_counts_until_it_is_killed() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    // When the parent is gone, however it went, nobody else ends this one.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let orders = serde_json::from_str(&orders).unwrap();
    let _running = open(&orders).await;
    std::future::pending::<()>().await;
}
