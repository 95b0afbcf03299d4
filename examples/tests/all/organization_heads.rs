//! The heads of units, out of tables in SQLite and in PostgreSQL.

use cim_es::prelude::*;
use cim_es::{PostgresOptions, PostgresReadModels, SqliteReadModels};
use cim_es_examples::organization::Organization;
use cim_es_examples::organization::heads::{self, Head};
use cim_es_examples::organization::import::{File, Options, run};
use cim_es_tests::postgres::Postgres;

const ROWS: &str = "\
kind,organization,code,name,parent,unit,detail
organization,,ACME,Acme,,,company
unit,ACME,HQ,Headquarters,,,
unit,ACME,LAB,Laboratory,HQ,,
unit,ACME,OPS,Operations,HQ,,
role,ACME,CEO,Chief,,HQ,
role,ACME,AIDE,Assistant,CEO,HQ,
role,ACME,CTO,Inventor,CEO,LAB,
role,ACME,TESTER,Tester,CTO,LAB,
";

const LATER: &str = "\
kind,organization,code,name,parent,unit,detail
unit,ACME,LAB,Laboratories,HQ,,
role,ACME,COO,Operator,CEO,OPS,
";

async fn import(store: &MemoryEventStore, rows: &str) {
    let organizations = Repository::<Organization>::new(store.clone());
    let file = File::read(rows.as_bytes()).expect("the columns are named");
    let report = run(&organizations, &file, Options::default(), |_, _| {}).await;
    assert_eq!(report.expect("the store takes it").problems, []);
}

/// Unit, title of its head, title of whom that reports to.
fn told(heads: Vec<Head>) -> Vec<(String, Option<String>, Option<String>)> {
    let heads = heads.into_iter();
    heads.map(|it| (it.unit, it.title, it.superior)).collect()
}

fn expected(rows: &[(&str, &str, &str)]) -> Vec<(String, Option<String>, Option<String>)> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let rows = rows.iter();
    rows.map(|(unit, head, superior)| (unit.to_string(), text(head), text(superior)))
        .collect()
}

const FIRST: &[(&str, &str, &str)] = &[
    ("Headquarters", "Chief", ""),
    ("Laboratory", "Inventor", "Chief"),
    ("Operations", "", ""),
];
const SECOND: &[(&str, &str, &str)] = &[
    ("Headquarters", "Chief", ""),
    ("Laboratories", "Inventor", "Chief"),
    ("Operations", "Operator", "Chief"),
];

#[tokio::test]
async fn the_heads_of_units_are_read_from_tables_of_sqlite_by_a_join() {
    let store = MemoryEventStore::new();
    import(&store, ROWS).await;
    let directory = tempfile::tempdir().unwrap();
    let models = || SqliteReadModels::open(directory.path().join("views.db")).unwrap();
    let found = heads::in_sqlite(store.clone(), models()).await.unwrap();
    assert_eq!(told(found.value), expected(FIRST));
    import(&store, LATER).await;
    let found = heads::in_sqlite(store, models()).await.unwrap();
    assert_eq!(told(found.value), expected(SECOND));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heads_of_units_are_read_from_tables_of_postgresql_by_the_same_join() {
    let store = MemoryEventStore::new();
    import(&store, ROWS).await;
    let server = tokio::task::block_in_place(Postgres::shared);
    let schema = format!("h{}", Uuid::now_v7().simple());
    let models = async || {
        let options = PostgresOptions::new(&server.url()).unwrap().schema(&schema);
        PostgresReadModels::open_with(options).await.unwrap()
    };
    let found = heads::in_postgres(store.clone(), models().await)
        .await
        .unwrap();
    assert_eq!(told(found.value), expected(FIRST));
    import(&store, LATER).await;
    let found = heads::in_postgres(store, models().await).await.unwrap();
    assert_eq!(told(found.value), expected(SECOND));
}
