//! Subscriptions on a store in memory that are kept in PostgreSQL.

use cim_es::prelude::*;
use cim_es::{PostgresOptions, PostgresReadModels};
use cim_es_tests::postgres::Postgres;

use crate::subscriber::suite::{self, Works, subscription_tests};

async fn works() -> Works<MemoryEventStore> {
    let schema = format!("s{}", Uuid::now_v7().simple());
    let options = PostgresOptions::new(&Postgres::shared().url()).unwrap();
    let storage = PostgresReadModels::open_with(options.schema(&schema)).await;
    Works::new(MemoryEventStore::new(), ()).kept_in(storage.expect("the schema opens"))
}

subscription_tests!(works);
