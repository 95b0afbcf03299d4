//! The versions of all servers: a guard holds only where the server that leads the stream keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_es::jetstream::{Connection, JetStreamEventStore, NatsConfig, Severity};
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Server, User};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::jetstream::options;
use crate::jetstream::proxy::Proxy;
use crate::jetstream::sample::*;
use crate::jetstream::tap::{Change, Tap, as_is};

/// Changes how a server introduces itself.
fn introduced(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Change {
    Arc::new(move |operation: Vec<u8>| {
        let Some(info) = operation.strip_prefix(b"INFO ") else {
            return Some(operation);
        };
        let mut info: Value = serde_json::from_slice(info).unwrap();
        change(&mut info);
        Some(format!("INFO {info}\r\n").into_bytes())
    })
}

async fn connect(urls: Vec<String>) -> Connection {
    let operator = User::Operator;
    let config = NatsConfig::new(urls)
        .user_and_password(operator.name(), operator.password())
        .max_reconnects(0)
        .reconnect_delay(Duration::from_millis(20));
    config.connect().await.unwrap()
}

async fn note(store: &JetStreamEventStore) -> Result<(), StoreError> {
    let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes([1]));
    store.append(request).await.map(drop)
}

#[tokio::test]
async fn a_store_does_not_open_where_another_server_of_the_cluster_is_too_old() {
    let cluster = Cluster::shared();
    let urls = cluster.urls();
    let old = introduced(|info| info["version"] = json!("2.14.3"));
    let old = Tap::on(cluster.servers()[1].address(), as_is(), old).await;
    // The connection is with the first one, which is new enough.
    let connection = connect(vec![urls[0].clone()]).await;
    JetStreamEventStore::open(connection, options(3))
        .await
        .unwrap();
    let name = cluster.servers()[1].name();
    for urls in [
        vec![urls[0].clone(), old.url()],
        vec![old.url(), urls[0].clone()],
    ] {
        let connection = connect(urls).await;
        let refused = JetStreamEventStore::open(connection, options(3)).await;
        let Err(StoreError::Incompatible { reason, .. }) = refused else {
            panic!("{refused:?}");
        };
        for part in ["2.14.3", "2.14.4", name] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
    }
}

#[tokio::test]
async fn nothing_is_written_once_the_client_has_come_to_a_server_that_is_too_old() {
    let is_old = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&is_old);
    let change = introduced(move |info| {
        if shown.load(Ordering::SeqCst) {
            info["version"] = json!("2.14.3");
        }
        info["connect_urls"] = json!([]);
    });
    let tap = Tap::on(Server::shared().address(), as_is(), change).await;
    let proxy = Proxy::to(tap.url().trim_start_matches("nats://").to_owned()).await;
    let connection = connect(vec![proxy.url()]).await;
    let store = JetStreamEventStore::open(connection, options(1))
        .await
        .unwrap();
    note(&store).await.unwrap();
    for is_too_old in [true, false, true] {
        is_old.store(is_too_old, Ordering::SeqCst);
        proxy.cut();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let outcome = note(&store).await;
            let is_refused = matches!(&outcome, Err(StoreError::Incompatible { reason, .. })
                if reason.contains("2.14.3"));
            if is_refused == is_too_old && (is_refused || outcome.is_ok()) {
                break;
            }
            assert!(Instant::now() < end, "{is_too_old}: {outcome:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let findings = store.doctor().await.unwrap();
    let version = findings.iter().find(|finding| finding.about == "version");
    assert_eq!(version.unwrap().severity, Severity::Danger);
}

#[tokio::test]
async fn the_doctor_says_which_servers_could_not_be_asked() {
    let cluster = Cluster::shared();
    let alone = introduced(|info| info["connect_urls"] = json!([]));
    let tap = Tap::on(cluster.servers()[0].address(), as_is(), alone).await;
    let connection = connect(vec![tap.url()]).await;
    let store = JetStreamEventStore::open(connection, options(3))
        .await
        .unwrap();
    let findings = store.doctor().await.unwrap();
    let version = findings.iter().find(|finding| finding.about == "version");
    let version = version.unwrap();
    assert_eq!(version.severity, Severity::Warning);
    for server in &cluster.servers()[1..] {
        assert!(version.found.contains(server.name()), "{version}");
    }
    assert!(!version.found.contains(cluster.servers()[0].name()));
}
