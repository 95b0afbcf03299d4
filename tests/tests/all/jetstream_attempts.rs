//! Attempts of a group: only what a handler saw counts, whatever becomes of the answers of the servers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cim_es::jetstream::{EventSubscriberBuilder, NatsConfig, ParkedEvents, Retry};
use cim_es_tests::nats::{Server, User};

use crate::jetstream::tap::{Change, Tap, published};
use crate::subscriber::{Log, MeterEvent, Plant};
use cim_es::event::DomainEvent;

/// Loses the first answer to each write on subjects that hold a text.
fn losing_first_answers(text: &'static str) -> (Change, Change) {
    let written = Arc::new(Mutex::new(HashSet::new()));
    let waiting = Arc::new(Mutex::new(HashSet::new()));
    let lost = Arc::clone(&waiting);
    let up: Change = Arc::new(move |operation: Vec<u8>| {
        let subject = published(&operation);
        if subject.starts_with("$KV.") && subject.contains(text) {
            let shown = String::from_utf8_lossy(&operation).into_owned();
            let (line, rest) = shown.split_once("\r\n").unwrap();
            let reply = line.split(' ').nth(2).unwrap().to_owned();
            let is_first = written
                .lock()
                .unwrap()
                .insert((subject.to_owned(), rest.to_owned()));
            if is_first {
                waiting.lock().unwrap().insert(reply);
            }
        }
        Some(operation)
    });
    let down: Change = Arc::new(move |operation: Vec<u8>| {
        let shown = String::from_utf8_lossy(&operation);
        let mut words = shown.split(' ');
        let is_message = matches!(words.next(), Some("MSG" | "HMSG"));
        let reply = words.next().unwrap_or_default();
        let is_lost = is_message && lost.lock().unwrap().remove(reply);
        (!is_lost).then_some(operation)
    });
    (up, down)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_whose_note_was_stored_without_an_answer_is_made_and_counts_once() {
    let plant = Plant::new(Server::shared()).await;
    let (up, down) = losing_first_answers(".attempts.");
    let tap = Tap::on(Server::shared().address(), up, down).await;
    let config = NatsConfig::new([tap.url()])
        .user_and_password("operator", User::Operator.password())
        .request_timeout(Duration::from_millis(500));
    let connection = config.connect().await.unwrap();
    let log = Log::default();
    log.fail(1);
    let subscriber = EventSubscriberBuilder::new()
        .client(connection)
        .store(&plant.store)
        .subject(MeterEvent::subjects())
        .retry(Retry {
            attempts: 3,
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(20),
        })
        .group(&plant.name)
        .handler(log.handler(0));
    let member = subscriber.build().unwrap().subscribe().await.unwrap();
    plant.record("m", 1).await;
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    let list = loop {
        let list = parked.list().await.unwrap();
        if !list.is_empty() {
            break list;
        }
        assert!(tokio::time::Instant::now() < end, "nothing was parked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // Each of the attempts reached the handler, and its own reason is the one that is kept.
    assert_eq!(log.started().len(), 3);
    assert_eq!(list[0].reason, "1 is not welcome");
    member.stop().await.unwrap();
}
