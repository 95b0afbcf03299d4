//! Read models in PostgreSQL keep what every storage promises.

use async_trait::async_trait;
use cim_es::testing::read_model_contract::Provider;
use cim_es::{PostgresOptions, PostgresReadModels};
use cim_es_tests::postgres::Postgres;
use uuid::Uuid;

/// A schema of its own in the database of all tests.
struct InSchema(String);

impl Default for InSchema {
    fn default() -> Self {
        Self(format!("c{}", Uuid::now_v7().simple()))
    }
}

#[async_trait]
impl Provider for InSchema {
    type Storage = PostgresReadModels;

    async fn open(&self) -> PostgresReadModels {
        let options = PostgresOptions::new(&Postgres::shared().url()).unwrap();
        PostgresReadModels::open_with(options.schema(&self.0))
            .await
            .unwrap()
    }
}

cim_es::read_model_contract_tests!(InSchema::default());
