//! Subscriptions with several members: groups, and partitions in order, while members come, go and are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::jetstream::proxy::Proxy;
use crate::subscriber::{Log, MeterEvent, Plant};
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    Connection, FnEventHandler, HandlerError, NatsConfig, ParkedEvents, Subscription,
};
use cim_es_tests::nats::{Server, User};
use tokio::time::{Instant, sleep};

async fn join(plant: &Plant, log: &Log, member: usize) -> Subscription {
    let builder = plant
        .subscriber()
        .partitioned(&plant.name)
        .lease(crate::subscriber::LEASE);
    let subscriber = builder.handler(log.handler(member)).build().unwrap();
    subscriber.subscribe().await.unwrap()
}

/// Records values from `from` on, over some meters, until `to`.
async fn record(plant: &Plant, values: std::ops::RangeInclusive<u64>) {
    for value in values {
        plant.record(&format!("m{}", value % 24), value).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_group_share_the_events_and_each_is_handled_once() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.pause(Duration::from_millis(5));
    let mut members = Vec::new();
    for member in 0..3 {
        let builder = plant.subscriber().group(&plant.name).concurrency(2);
        let subscriber = builder.handler(log.handler(member)).build().unwrap();
        members.push(subscriber.subscribe().await.unwrap());
    }
    record(&plant, 1..=200).await;
    log.wait_for("all", |log| log.distinct() == 200).await;
    assert_eq!(log.values().len(), 200);
    assert_eq!(log.members().len(), 3, "{:?}", log.members());
    for member in members {
        member.stop().await.unwrap();
    }
    // The group goes on where it left off.
    record(&plant, 201..=210).await;
    let builder = plant.subscriber().group(&plant.name);
    let subscriber = builder.handler(log.handler(3)).build().unwrap();
    let member = subscriber.subscribe().await.unwrap();
    log.wait_for("the rest", |log| log.distinct() == 210).await;
    assert_eq!(log.values().len(), 210);
    member.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_member_of_a_group_was_handling_goes_to_another() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.pause(Duration::from_secs(60));
    record(&plant, 1..=4).await;
    let builder = plant.subscriber().group(&plant.name).concurrency(4);
    let first = builder.handler(log.handler(0)).build().unwrap();
    let first = first.subscribe().await.unwrap();
    log.wait_for("four in hand", |log| log.started().len() == 4)
        .await;
    first.abort();
    log.pause(Duration::ZERO);
    let builder = plant.subscriber().group(&plant.name);
    let second = builder.handler(log.handler(1)).build().unwrap();
    let _second = second.subscribe().await.unwrap();
    log.wait_for("all four", |log| log.distinct() == 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_tries_again_with_pauses_then_parks_and_hands_over_again_when_asked() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.fail(2);
    let builder = plant.subscriber().group(&plant.name);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let member = subscriber.subscribe().await.unwrap();
    record(&plant, 1..=3).await;
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    let list = async || loop {
        let found = parked.list().await.unwrap();
        if found.first().is_some_and(|event| event.request.is_none()) {
            return found;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let found = list().await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].reason.as_str(), found[0].attempts),
        ("2 is not welcome", 3)
    );
    let attempts: Vec<_> = log
        .started()
        .into_iter()
        .filter(|call| call.value == 2)
        .collect();
    assert_eq!(attempts.len(), 3);
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(50));
    assert!(attempts[2].at - attempts[1].at >= Duration::from_millis(100));
    let mut others = log.values();
    others.sort();
    assert_eq!(others, [1, 3]);
    log.heal();
    parked.resend(found[0].position).await.unwrap();
    log.wait_for("the parked one", |log| log.values().contains(&2))
        .await;
    while !parked.list().await.unwrap().is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    member.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_when_its_consumer_was_removed() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let builder = plant.subscriber().group(&plant.name);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let member = subscriber.subscribe().await.unwrap();
    record(&plant, 1..=1).await;
    log.wait_for("the first", |log| log.distinct() == 1).await;
    let stream = plant.connection.jetstream().get_stream(&plant.name).await;
    let removed = stream.unwrap().delete_consumer(&plant.name).await;
    assert!(removed.unwrap().success);
    record(&plant, 2..=2).await;
    log.wait_for("the second", |log| log.distinct() == 2).await;
    member.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handler_of_a_group_keeps_its_event() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    // Longer than the server waits without word.
    log.pause(Duration::from_secs(12));
    let builder = plant.subscriber().group(&plant.name);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let member = subscriber.subscribe().await.unwrap();
    record(&plant, 1..=1).await;
    log.wait_for("the slow one", |log| log.values() == [1])
        .await;
    assert_eq!(log.started().len(), 1);
    member.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_keep_each_aggregate_in_order_while_members_come_go_and_are_killed() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.pause(Duration::from_millis(3));
    // Events keep coming while members come and go, so that each of them has something to do.
    let is_moving = AtomicBool::new(true);
    let writer = async {
        let mut written = 0;
        while written < 1_200 || is_moving.load(Ordering::Relaxed) {
            written += 1;
            record(&plant, written..=written).await;
        }
        written
    };
    let mut last = None;
    let members = async {
        let first = join(&plant, &log, 0).await;
        log.wait_for("the first", |log| log.distinct() > 50).await;
        let second = join(&plant, &log, 1).await;
        log.wait_for("the second", |log| log.members().contains_key(&1))
            .await;
        let third = join(&plant, &log, 2).await;
        log.wait_for("the third", |log| log.members().contains_key(&2))
            .await;
        // As a crash would: nothing is released, nothing is written down.
        first.abort();
        sleep(Duration::from_millis(500)).await;
        let fourth = join(&plant, &log, 3).await;
        log.wait_for("the fourth", |log| log.members().contains_key(&3))
            .await;
        second.stop().await.unwrap();
        third.abort();
        is_moving.store(false, Ordering::Relaxed);
        last = Some(fourth);
    };
    let (total, ()) = tokio::join!(writer, members);
    log.wait_at_most(Duration::from_secs(60), "all", |log| {
        log.distinct() == total as usize
    })
    .await;
    last.unwrap().stop().await.unwrap();
    assert_eq!(log.overlaps(), Vec::<String>::new());
    assert!(log.out_of_order().is_empty(), "{:?}", log.out_of_order());
    let again = log.values().len() - total as usize;
    // What the two that were killed had not written down.
    assert!(again < 400, "{again} events were handled again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_share_the_partitions_and_one_that_stops_leaves_nothing_to_repeat() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let first = join(&plant, &log, 0).await;
    let second = join(&plant, &log, 1).await;
    let mut value = 0;
    // Who is there shares the work after a while.
    while log.members().len() < 2 || log.members().values().any(|count| *count < 20) {
        record(&plant, value + 1..=value + 24).await;
        value += 24;
        assert!(value < 10_000, "{:?}", log.members());
        sleep(Duration::from_millis(50)).await;
    }
    log.wait_for("all so far", |log| log.distinct() == value as usize)
        .await;
    second.stop().await.unwrap();
    let stopped = Instant::now();
    record(&plant, value + 1..=value + 48).await;
    value += 48;
    log.wait_for("the rest", |log| log.distinct() == value as usize)
        .await;
    println!(
        "the partitions of a member that stopped moved within {:?}",
        stopped.elapsed()
    );
    first.stop().await.unwrap();
    assert_eq!(log.values().len(), value as usize, "none was handled twice");
    assert!(log.out_of_order().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_event_holds_up_its_own_aggregate_alone_also_when_its_member_changes() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.fail(5);
    let first = join(&plant, &log, 0).await;
    record(&plant, 1..=72).await;
    // 5, 29 and 53 are of one aggregate.
    log.wait_for("the others", |log| log.distinct() == 69).await;
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    while parked.list().await.unwrap().len() < 3 {
        sleep(Duration::from_millis(20)).await;
    }
    first.abort();
    log.heal();
    let second = join(&plant, &log, 1).await;
    record(&plant, 73..=96).await;
    log.wait_for("the others again", |log| log.distinct() == 92)
        .await;
    let position = parked.list().await.unwrap()[0].position;
    parked.resend(position).await.unwrap();
    log.wait_for("all", |log| log.distinct() == 96).await;
    second.stop().await.unwrap();
    assert!(log.out_of_order().is_empty(), "{:?}", log.out_of_order());
    assert_eq!(log.overlaps(), Vec::<String>::new());
}

/// A handler that ends its whole member, as one does that exhausts the memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_kills_its_member_again_and_again_is_parked() {
    let plant = Plant::new(Server::shared()).await;
    record(&plant, 1..=3).await;
    let mut deaths = 0;
    loop {
        let (killer, mut killed) = tokio::sync::mpsc::unbounded_channel();
        let values = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = values.clone();
        let handler = FnEventHandler::typed(move |(event, _): (MeterEvent, StoredEvent)| {
            let MeterEvent::Recorded { value } = event;
            seen.lock().unwrap().push(value);
            let killer = killer.clone();
            async move {
                if value == 2 {
                    killer.send(()).ok();
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        });
        let builder = plant
            .subscriber()
            .durable(&plant.name)
            .lease(Duration::from_secs(1));
        let subscriber = builder.handler(handler).build().unwrap();
        let member = subscriber.subscribe().await.unwrap();
        let done = async {
            while !values.lock().unwrap().contains(&3) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let killed = async {
            killed.recv().await;
        };
        let is_done = tokio::select! {
            () = killed => false,
            () = done => true,
        };
        if is_done {
            member.stop().await.unwrap();
            break;
        }
        member.abort();
        deaths += 1;
        assert!(deaths < 10, "it is never parked");
    }
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    let found = parked.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].reason.contains("in the middle of it"),
        "{}",
        found[0].reason
    );
}

/// A connection that waits for less long than servers may be away.
async fn impatient(proxy: &Proxy) -> Connection {
    let config = NatsConfig::new([proxy.url()])
        .user_and_password("operator", User::Operator.password())
        .max_reconnects(0)
        .reconnect_delay(Duration::from_millis(50))
        .request_timeout(Duration::from_millis(200))
        .patience(Duration::from_millis(600));
    config.connect().await.unwrap()
}

/// How many events are parked; none before the first subscription of the account has made room for them.
async fn parked_of(plant: &Plant) -> usize {
    let parked = async {
        let parked = ParkedEvents::open(plant.connection.clone(), &plant.name).await?;
        parked.list().await
    };
    parked.await.map_or(0, |parked| parked.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_though_the_servers_were_away_while_a_handler_failed() {
    let server = Server::shared();
    for (kind, is_permanent) in [
        ("live", true),
        ("durable", true),
        ("group", true),
        ("group", false),
        ("partitioned", true),
    ] {
        let plant = Plant::new(server).await;
        let proxy = Arc::new(Proxy::to(server.address()).await);
        let calls = Arc::new(AtomicUsize::new(0));
        let handler = FnEventHandler::new({
            let (proxy, calls) = (Arc::clone(&proxy), Arc::clone(&calls));
            move |_: StoredEvent| {
                if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                    proxy.lose_answers();
                }
                match (is_permanent, calls.load(Ordering::SeqCst)) {
                    (true, _) => Err(HandlerError::permanent("it is not welcome")),
                    (false, 1) => Err(HandlerError::new("it fails once")),
                    (false, _) => Ok(()),
                }
            }
        });
        let builder = plant.subscriber().client(impatient(&proxy).await);
        let builder = match kind {
            "live" => builder.name(&plant.name),
            "durable" => builder.durable(&plant.name),
            "group" => builder.group(&plant.name),
            _ => builder.partitioned(&plant.name),
        };
        let subscriber = builder.handler(handler).build().unwrap();
        let subscription = subscriber.subscribe().await.unwrap();
        plant.record("m", 1).await;
        let end = Instant::now() + Duration::from_secs(30);
        while calls.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < end, "{kind}: nothing comes");
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(2)).await;
        proxy.cut();
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let parked = parked_of(&plant).await;
            if is_permanent && parked == 1 {
                break;
            }
            if !is_permanent && calls.load(Ordering::SeqCst) > 1 {
                assert_eq!(parked, 0);
                break;
            }
            assert!(!subscription.is_over(), "{kind} ended");
            assert!(Instant::now() < end, "{kind}: {parked} events are parked");
            sleep(Duration::from_millis(100)).await;
        }
        assert!(!subscription.is_over(), "{kind} ended");
        subscription.stop().await.unwrap();
    }
}
