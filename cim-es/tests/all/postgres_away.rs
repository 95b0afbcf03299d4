//! A PostgreSQL that is away, and addresses that name none.

use std::net::TcpListener;

use cim_es::PostgresReadModels;
use cim_es::store::read_model::ReadModelError;

async fn refused(address: &str) -> ReadModelError {
    let opened = PostgresReadModels::open(address).await;
    opened.expect_err("nobody answers")
}

#[tokio::test]
async fn a_server_that_is_away_is_said_to_be_and_may_come() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let port = port.unwrap().port();
    let error = refused(&format!("postgresql://app@127.0.0.1:{port}/library")).await;
    let said = error.to_string();
    let begins = format!(
        "database `library` on 127.0.0.1:{port} cannot be reached: connecting: error connecting to server: "
    );
    assert!(said.starts_with(&begins), "{said}");
    assert!(said.contains("see whether the server runs there"), "{said}");
    assert!(!said.contains("commit"), "{said}");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn an_address_without_a_host_is_refused_with_what_one_looks_like() {
    for address in ["", "postgresql://", "dbname=library"] {
        let error = refused(address).await;
        assert_eq!(
            error.to_string(),
            "the PostgreSQL database cannot be used: its address names no host: write `postgresql://user@host/database`, or `host=… dbname=… user=…`",
            "{address:?}"
        );
        assert!(!error.is_transient(), "{error:?}");
    }
}
