//! Handlers that block their thread: others take over, and nothing is handed over past its time.

use std::sync::mpsc;
use std::time::Duration;

use cim_es::block::StoredEvent;
use cim_es::event::DomainEvent;
use cim_es::jetstream::{EventSubscriberBuilder, FnEventHandler, HandlerError};
use cim_es_tests::nats::{Server, User};

use crate::subscriber::{LEASE, Log, MeterEvent, Plant, connect};

/// Runs a member in a thread of its own, whose handler blocks that thread with its first event.
/// Gives what it handled, one value after the other.
fn blocked_member(
    plant: &Plant,
    blocks_for: Duration,
    choose: fn(EventSubscriberBuilder, &str) -> EventSubscriberBuilder,
) -> mpsc::Receiver<u64> {
    let (sender, receiver) = mpsc::channel();
    let (name, store) = (plant.name.clone(), plant.store.subjects().clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = connect(vec![Server::shared().url()], User::Operator).await;
            let mut is_first = true;
            let is_first = std::sync::Mutex::new(move || std::mem::take(&mut is_first));
            let handler = FnEventHandler::new(move |event: StoredEvent| {
                let MeterEvent::Recorded { value } = event.decode::<MeterEvent>()?;
                let _ = sender.send(value);
                if (is_first.lock().unwrap())() {
                    std::thread::sleep(blocks_for);
                }
                Ok::<_, HandlerError>(())
            });
            let builder = EventSubscriberBuilder::new()
                .client(connection)
                .stream(&name)
                .stored_subjects(store)
                .subject(MeterEvent::subjects())
                .handler(handler);
            let subscriber = choose(builder, &name).build().unwrap();
            let subscription = subscriber.subscribe().await.unwrap();
            let end = blocks_for + Duration::from_secs(3);
            let _ = tokio::time::timeout(end, subscription).await;
        });
    });
    receiver
}

async fn next(handled: &mpsc::Receiver<u64>) -> u64 {
    loop {
        match handled.try_recv() {
            Ok(value) => return value,
            Err(mpsc::TryRecvError::Empty) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(mpsc::TryRecvError::Disconnected) => panic!("the member ended"),
        }
    }
}

async fn others(handled: mpsc::Receiver<u64>) -> Vec<u64> {
    tokio::task::spawn_blocking(move || handled.iter().collect())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_member_whose_handler_blocked_past_the_lease_goes_on_with_nothing() {
    let plant = Plant::new(Server::shared()).await;
    for value in 1..=40 {
        plant.record("m", value).await;
    }
    let handled = blocked_member(&plant, 5 * LEASE, |builder, name| {
        builder.durable(name).lease(LEASE)
    });
    assert_eq!(next(&handled).await, 1);
    let log = Log::default();
    let builder = plant.subscriber().durable(&plant.name).lease(LEASE);
    let other = builder.handler(log.handler(1)).build().unwrap();
    let other = other.subscribe().await.unwrap();
    log.wait_for("all", |log| log.distinct() == 40).await;
    let late = others(handled).await;
    assert!(late.is_empty(), "others have handled {late:?}");
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_member_of_a_group_leaves_to_others_what_came_while_its_thread_was_blocked() {
    let plant = Plant::new(Server::shared()).await;
    let handled = blocked_member(&plant, Duration::from_secs(14), |builder, name| {
        builder.group(name).concurrency(4)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    for value in 1..=3 {
        plant.record("m", value).await;
    }
    next(&handled).await;
    let log = Log::default();
    let builder = plant.subscriber().group(&plant.name);
    let other = builder.handler(log.handler(1)).build().unwrap();
    let other = other.subscribe().await.unwrap();
    log.wait_for("all", |log| log.distinct() == 3).await;
    let late = others(handled).await;
    assert!(late.is_empty(), "another has handled {late:?}");
    other.stop().await.unwrap();
}
