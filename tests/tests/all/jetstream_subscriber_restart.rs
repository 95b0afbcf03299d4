//! Subscriptions over restarts: of the only server, and of servers of a cluster. Nothing is missed, and they go on within
//! seconds.

use std::time::Duration;

use crate::jetstream::proxy::Proxy;
use crate::subscriber::{Log, Plant, connect};
use cim_es::jetstream::{EventSubscriberBuilder, Subscription};
use cim_es_tests::nats::{Cluster, Server, User};
use tokio::time::Instant;

/// Within what time a subscription goes on after the servers are back.
const SECONDS: Duration = Duration::from_secs(10);

/// One subscription of each kind, each with a log of its own.
async fn subscribe_all(plant: &Plant) -> Vec<(&'static str, Log, Subscription)> {
    let name = &plant.name;
    let builders: [(&str, EventSubscriberBuilder); 4] = [
        ("live", plant.subscriber()),
        (
            "durable",
            plant
                .subscriber()
                .durable(format!("{name}-d"))
                .lease(crate::subscriber::LEASE),
        ),
        ("group", plant.subscriber().group(format!("{name}-g"))),
        (
            "partitioned",
            plant
                .subscriber()
                .partitioned(format!("{name}-p"))
                .lease(crate::subscriber::LEASE),
        ),
    ];
    let mut subscriptions = Vec::new();
    for (kind, builder) in builders {
        let log = Log::default();
        let subscriber = builder.handler(log.handler(0)).build().unwrap();
        let subscription = subscriber.subscribe().await.unwrap();
        subscriptions.push((kind, log, subscription));
    }
    subscriptions
}

async fn record(plant: &Plant, values: std::ops::RangeInclusive<u64>) {
    for value in values {
        plant.record(&format!("m{}", value % 6), value).await;
    }
}

async fn wait_for_all(subscriptions: &[(&str, Log, Subscription)], count: usize, what: &str) {
    let started = Instant::now();
    for (kind, log, subscription) in subscriptions {
        let what = format!("{kind}, {what}");
        log.wait_at_most(SECONDS, &what, |log| log.distinct() == count)
            .await;
        assert!(!subscription.is_over(), "{what}");
        println!("{what}: all there after {:?}", started.elapsed());
    }
}

async fn stop(subscriptions: Vec<(&str, Log, Subscription)>) {
    for (kind, log, subscription) in subscriptions {
        subscription
            .stop()
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let values = log.values();
        if kind != "group" {
            assert!(
                log.out_of_order().is_empty(),
                "{kind}: {:?}",
                log.out_of_order()
            );
        }
        if kind == "live" {
            let mut distinct = values.clone();
            distinct.dedup();
            assert_eq!(values, distinct, "a live subscription gets each event once");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_goes_on_after_the_only_server_was_killed_and_restarted() {
    let mut server = Server::start();
    let plant = Plant::new(&server).await;
    let subscriptions = subscribe_all(&plant).await;
    record(&plant, 1..=30).await;
    wait_for_all(&subscriptions, 30, "before").await;
    server.kill();
    // Longer than a lease, so that each has to join again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.restart();
    record(&plant, 31..=60).await;
    wait_for_all(&subscriptions, 60, "after the restart").await;
    record(&plant, 61..=70).await;
    wait_for_all(&subscriptions, 70, "later").await;
    stop(subscriptions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_goes_on_while_servers_of_a_cluster_are_killed_and_leaders_step_down() {
    let mut cluster = Cluster::start(3);
    let plant = Plant::on(cluster.urls(), 3).await;
    let subscriptions = subscribe_all(&plant).await;
    record(&plant, 1..=30).await;
    wait_for_all(&subscriptions, 30, "before").await;
    let operator = cluster.connect(User::Operator).await;
    cluster.step_down(&operator, &plant.name).await;
    cluster
        .step_down(&operator, "KV_cim-es-subscriptions")
        .await;
    record(&plant, 31..=60).await;
    wait_for_all(&subscriptions, 60, "after the leaders stepped down").await;
    let leader = cluster.leader(&operator, &plant.name).await;
    cluster.server(leader).kill();
    record(&plant, 61..=90).await;
    wait_for_all(&subscriptions, 90, "after the leader was killed").await;
    cluster.server(leader).restart();
    cluster.wait_until_healthy();
    record(&plant, 91..=120).await;
    wait_for_all(&subscriptions, 120, "after it came back").await;
    if std::env::var_os("CIM_ES_LONG").is_some() {
        // Longer than any request is repeated.
        cluster.server(0).kill();
        cluster.server(1).kill();
        tokio::time::sleep(Duration::from_secs(40)).await;
        cluster.server(0).restart();
        cluster.server(1).restart();
        cluster.wait_until_healthy();
        record(&plant, 121..=150).await;
        wait_for_all(&subscriptions, 150, "after there was no majority").await;
    }
    stop(subscriptions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_after_a_server_did_not_answer_for_a_while() {
    let server = Server::start();
    let plant = Plant::new(&server).await;
    let subscriptions = subscribe_all(&plant).await;
    record(&plant, 1..=30).await;
    wait_for_all(&subscriptions, 30, "before").await;
    server.pause();
    tokio::time::sleep(Duration::from_secs(4)).await;
    server.resume();
    record(&plant, 31..=60).await;
    wait_for_all(&subscriptions, 60, "after the pause").await;
    stop(subscriptions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_last_sign_of_life_was_not_answered_leaves_its_place_all_the_same() {
    let server = Server::start();
    let plant = Plant::new(&server).await;
    let proxy = Proxy::to(server.address()).await;
    let log = Log::default();
    let connection = connect(vec![proxy.url()], User::Operator).await;
    // A sign of life every two seconds.
    let first = plant.subscriber().client(connection);
    let first = first.partitioned(&plant.name).lease(Duration::from_secs(8));
    let first = first.handler(log.handler(0)).build().unwrap();
    let first = first.subscribe().await.unwrap();
    record(&plant, 1..=12).await;
    log.wait_for("the first", |log| log.distinct() == 12).await;
    // How far it came is written down.
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.lose_answers();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    proxy.cut();
    // There is a connection again, and the sign of life still waits for its answer.
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.stop().await.unwrap();
    let second = plant.subscriber().partitioned(&plant.name);
    let second = second.lease(Duration::from_secs(120));
    let second = second.handler(log.handler(1)).build().unwrap();
    let second = second.subscribe().await.unwrap();
    record(&plant, 13..=36).await;
    log.wait_for("the second", |log| log.distinct() == 36).await;
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_cannot_reach_the_servers_stops_before_another_takes_over() {
    let cluster = Cluster::start(3);
    let plant = Plant::on(cluster.urls(), 3).await;
    let log = Log::default();
    let urls = cluster.urls();
    let member = async |number: usize, url: &str| {
        let connection = connect(vec![url.to_owned()], User::Operator).await;
        let builder = plant
            .subscriber()
            .client(connection)
            .partitioned(&plant.name)
            .lease(crate::subscriber::LEASE);
        builder.handler(log.handler(number)).build().unwrap()
    };
    let first = member(1, &urls[0]).await.subscribe().await.unwrap();
    record(&plant, 1..=6).await;
    log.wait_for("the first", |log| log.distinct() == 6).await;
    // The first member is at work for longer than all that follows.
    log.pause(Duration::from_secs(60));
    record(&plant, 7..=12).await;
    log.wait_for("the first at work", |log| log.started().len() == 12)
        .await;
    log.pause(Duration::from_millis(10));
    let second = member(2, &urls[1]).await.subscribe().await.unwrap();
    cluster.servers()[0].pause();
    let paused = Instant::now();
    log.wait_for("the second", |log| log.distinct() == 12).await;
    println!("taken over after {:?}", paused.elapsed());
    cluster.servers()[0].resume();
    record(&plant, 13..=48).await;
    log.wait_for("all", |log| log.distinct() == 48).await;
    assert_eq!(log.overlaps(), Vec::<String>::new());
    assert!(log.out_of_order().is_empty(), "{:?}", log.out_of_order());
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}
