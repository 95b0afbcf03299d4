//! Subscribing on one server: live and durable, with handlers that fail.

use std::time::Duration;

use crate::subscriber::{Log, Meter, MeterEvent, Plant, connect};
use cim_es::ErrorChain;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    EventSubscriberBuilder, FnEventHandler, HandlerError, ParkedEvents, SubscriptionError,
    SubscriptionStart,
};
use cim_es::prelude::*;
use cim_es::store::Position;
use cim_es_tests::nats::{Server, User};
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn a_live_subscription_gets_what_is_appended_from_now_on() {
    let plant = Plant::new(Server::shared()).await;
    plant.record("a", 1).await;
    let log = Log::default();
    let subscriber = plant.subscriber().handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    for value in 2..=20 {
        plant
            .record(if value % 2 == 0 { "a" } else { "b" }, value)
            .await;
    }
    log.wait_for("all values", |log| log.values().len() == 19)
        .await;
    assert_eq!(log.values(), (2..=20).collect::<Vec<_>>());
    subscription.stop().await.unwrap();
}

#[tokio::test]
async fn plain_and_async_closures_are_handlers() {
    let plant = Plant::new(Server::shared()).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let plain = sender.clone();
    let plain = FnEventHandler::new(move |event: StoredEvent| {
        plain.send(format!("plain {}", event.event_type()))?;
        Ok(())
    });
    let eventual = sender.clone();
    let eventual = FnEventHandler::new(move |event: StoredEvent| {
        let eventual = eventual.clone();
        async move {
            sleep(Duration::from_millis(1)).await;
            eventual.send(format!("async {}", event.event_type()))?;
            Ok(())
        }
    });
    let typed = sender.clone();
    let typed = FnEventHandler::typed(move |(event, stored): (MeterEvent, StoredEvent)| {
        typed.send(format!("typed {event:?} {}", stored.envelope.sequence))?;
        Ok(())
    });
    let mut subscriptions = Vec::new();
    for builder in [
        plant.subscriber().handler(plain),
        plant.subscriber().handler(eventual),
        plant.subscriber().handler(typed),
    ] {
        let subscriber = builder.build().unwrap();
        subscriptions.push(subscriber.subscribe().await.unwrap());
    }
    plant.record("a", 7).await;
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(receiver.recv().await.unwrap());
    }
    got.sort();
    assert_eq!(
        got,
        [
            "async plant.meter.recorded",
            "plain plant.meter.recorded",
            "typed Recorded { value: 7 } 1",
        ]
    );
}

#[tokio::test]
async fn a_durable_subscription_goes_on_where_it_left_off() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let builder = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    for value in 1..=10 {
        plant.record("a", value).await;
    }
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the first ten", |log| log.values().len() == 10)
        .await;
    subscription.stop().await.unwrap();
    for value in 11..=20 {
        plant.record("a", value).await;
    }
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the next ten", |log| log.values().len() == 20)
        .await;
    for value in 21..=30 {
        plant.record("b", value).await;
    }
    log.wait_for("the last ten", |log| log.values().len() == 30)
        .await;
    subscription.stop().await.unwrap();
    assert_eq!(log.values(), (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_durable_subscription_can_start_now() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    plant.record("a", 1).await;
    let builder = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE);
    let builder = builder.starting(SubscriptionStart::Now);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    plant.record("a", 2).await;
    log.wait_for("the second", |log| !log.values().is_empty())
        .await;
    subscription.stop().await.unwrap();
    plant.record("a", 3).await;
    let _subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the third", |log| log.values().len() == 2)
        .await;
    assert_eq!(log.values(), [2, 3]);
}

#[tokio::test]
async fn another_member_takes_over_a_durable_subscription_and_never_works_beside_the_first() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.pause(Duration::from_millis(2));
    let member = |number| {
        let builder = plant
            .subscriber()
            .durable(&plant.name)
            .lease(crate::subscriber::LEASE);
        builder.handler(log.handler(number)).build().unwrap()
    };
    let first = member(1).subscribe().await.unwrap();
    plant.record("a", 1).await;
    log.wait_for("the first member", |log| !log.values().is_empty())
        .await;
    let second = member(2).subscribe().await.unwrap();
    for value in 2..=100 {
        plant.record("a", value).await;
    }
    first.abort();
    log.wait_for("the rest", |log| log.distinct() == 100).await;
    second.stop().await.unwrap();
    assert_eq!(log.overlaps(), Vec::<String>::new());
    assert!(log.out_of_order().is_empty(), "{:?}", log.out_of_order());
}

#[tokio::test]
async fn an_event_that_fails_for_good_is_parked_and_its_aggregate_waits_behind_it() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.fail(2);
    for (meter, value) in [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5), ("a", 6)] {
        plant.record(meter, value).await;
    }
    let builder = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the other aggregate", |log| log.values().contains(&5))
        .await;
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    let list = async || loop {
        let list = parked.list().await.unwrap();
        if list.len() == 3 {
            return list;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let found = list().await;
    assert_eq!(log.values(), [1, 3, 5]);
    assert_eq!(found[0].reason, "2 is not welcome");
    assert_eq!((found[0].attempts, found[0].sequence), (3, 2));
    assert_eq!(found[0].event_type, "plant.meter.recorded");
    assert_eq!(
        found[1].reason,
        format!(
            "it waits behind the event at position {} of its aggregate",
            found[0].position
        )
    );
    let attempts: Vec<_> = log
        .started()
        .into_iter()
        .filter(|call| call.value == 2)
        .collect();
    assert_eq!(attempts.len(), 3);
    let pause = |n: usize| attempts[n].at - attempts[n - 1].at;
    assert!(pause(1) >= Duration::from_millis(50), "{:?}", pause(1));
    assert!(pause(2) >= Duration::from_millis(100), "{:?}", pause(2));

    // It still fails, and is parked again.
    parked.resend(found[0].position).await.unwrap();
    log.wait_for("three more attempts", |log| {
        log.started().iter().filter(|call| call.value == 2).count() == 6
    })
    .await;
    list().await;
    assert_eq!(log.values(), [1, 3, 5]);

    log.heal();
    parked.resend(found[0].position).await.unwrap();
    log.wait_for("the aggregate", |log| log.values().len() == 6)
        .await;
    assert_eq!(log.values(), [1, 3, 5, 2, 4, 6]);
    plant.record("a", 7).await;
    log.wait_for("what is new", |log| log.values().len() == 7)
        .await;
    assert_eq!(parked.list().await.unwrap(), []);
    subscription.stop().await.unwrap();
}

#[tokio::test]
async fn a_discarded_event_is_not_handled_and_its_aggregate_goes_on() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.fail(1);
    plant.record("a", 1).await;
    plant.record("a", 2).await;
    let builder = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    let first = loop {
        if let [first, _] = parked.list().await.unwrap().as_slice() {
            break first.position;
        }
        sleep(Duration::from_millis(20)).await;
    };
    // What is asked for while nobody runs is done by the next who does.
    subscription.stop().await.unwrap();
    parked.discard(first).await.unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the second", |log| log.values() == [2]).await;
    subscription.stop().await.unwrap();
    let error = parked.resend(Position(999)).await.unwrap_err();
    assert!(
        matches!(error, SubscriptionError::NotThere { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_live_subscription_parks_too_and_goes_on() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.fail(1);
    let builder = plant.subscriber().name(&plant.name);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    plant.record("a", 1).await;
    plant.record("a", 2).await;
    log.wait_for("the second", |log| log.values() == [2]).await;
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    assert_eq!(parked.list().await.unwrap()[0].reason, "1 is not welcome");
    subscription.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_panics_or_takes_too_long_has_failed() {
    let plant = Plant::new(Server::shared()).await;
    let handler = FnEventHandler::typed(|(event, _): (MeterEvent, StoredEvent)| async move {
        let MeterEvent::Recorded { value } = event;
        match value {
            1 => panic!("no {value}"),
            2 => sleep(Duration::from_secs(60)).await,
            3 => return Err(HandlerError::permanent("never")),
            _ => {}
        }
        Ok(())
    });
    for (meter, value) in [("a", 1), ("b", 2), ("c", 3)] {
        plant.record(meter, value).await;
    }
    let builder = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE)
        .handler(handler);
    let builder = builder.handler_time_limit(Duration::from_millis(100));
    let subscription = builder.build().unwrap().subscribe().await.unwrap();
    let parked = ParkedEvents::open(plant.connection.clone(), &plant.name)
        .await
        .unwrap();
    let found = loop {
        let found = parked.list().await.unwrap();
        if found.len() == 3 {
            break found;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let reasons: Vec<_> = found
        .iter()
        .map(|it| (it.reason.as_str(), it.attempts))
        .collect();
    assert_eq!(
        reasons,
        [
            ("the handler panicked: no 1", 3),
            ("not done after 100 ms", 3),
            ("never", 1),
        ]
    );
    subscription.stop().await.unwrap();
}

#[tokio::test]
async fn stopping_finishes_the_event_at_hand() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    log.pause(Duration::from_millis(300));
    plant.record("a", 1).await;
    plant.record("a", 2).await;
    let builder = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE);
    let subscriber = builder.handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the start", |log| log.started().len() == 1)
        .await;
    assert!(!subscription.is_over());
    subscription.stop().await.unwrap();
    assert_eq!(log.values(), [1]);
    log.pause(Duration::ZERO);
    let subscription = subscriber.subscribe().await.unwrap();
    // It did not wait for a lease to run out: the one that stopped said so.
    log.wait_at_most(Duration::from_millis(1_500), "the second", |log| {
        log.values() == [1, 2]
    })
    .await;
    drop(subscription);
}

#[tokio::test]
async fn a_dropped_subscription_stops() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let subscriber = plant.subscriber().handler(log.handler(0)).build().unwrap();
    drop(subscriber.subscribe().await.unwrap());
    sleep(Duration::from_millis(200)).await;
    plant.record("a", 1).await;
    sleep(Duration::from_millis(500)).await;
    assert!(log.values().is_empty());
    subscriber.subscribe().await.unwrap().detach();
    plant.record("a", 2).await;
    log.wait_for("the detached one", |log| log.values() == [2])
        .await;
}

#[tokio::test]
async fn typed_subjects_filters_and_texts_choose_the_events() {
    let plant = Plant::new(Server::shared()).await;
    let choices: [cim_es::subject::Subjects; 4] = [
        subject!(MeterEvent, "plant.meter.recorded").into(),
        filter!(MeterEvent, "plant.*.recorded").into(),
        "plant.>".into(),
        cim_es::subject::Subjects::from("plant.other.>").and(MeterEvent::subjects()),
    ];
    for subjects in choices {
        let log = Log::default();
        let builder = EventSubscriberBuilder::new()
            .client(plant.connection.clone())
            .store(&plant.store)
            .subject(subjects.clone())
            .handler(log.handler(0));
        let _subscription = builder.build().unwrap().subscribe().await.unwrap();
        plant.record("a", 1).await;
        log.wait_for(&subjects.to_string(), |log| log.values() == [1])
            .await;
    }
    let log = Log::default();
    let builder = plant.subscriber().subject("plant.>");
    let _subscription = builder
        .handler(log.handler(0))
        .build()
        .unwrap()
        .subscribe()
        .await
        .unwrap();
    plant.record("a", 1).await;
    log.wait_for("one of two patterns", |log| log.values() == [1])
        .await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(log.values(), [1]);
}

#[tokio::test]
async fn what_makes_no_subscriber_is_refused_with_what_to_do() {
    let plant = Plant::new(Server::shared()).await;
    let nothing = || FnEventHandler::new(|_: StoredEvent| Ok(()));
    let refused = |builder: EventSubscriberBuilder| builder.build().unwrap_err().to_string();
    assert!(refused(EventSubscriberBuilder::new()).contains("`client(…)`"));
    let client = EventSubscriberBuilder::new().client(plant.connection.clone());
    assert!(refused(client.clone()).contains("`handler(…)`"));
    assert!(refused(client.clone().handler(nothing())).contains("`subject(…)`"));
    assert!(refused(client.clone().subject("a..b")).contains("`a..b` is not a filter"));
    assert!(refused(client.clone().subject("a.>.b")).contains("put it last"));
    assert!(refused(client.clone().durable("")).contains("is no name"));
    for lease in [Duration::ZERO, Duration::MAX] {
        let refused = refused(client.clone().subject("a.>").durable("d").lease(lease));
        assert!(refused.contains("make it"), "{refused}");
    }
    let whole = || client.clone().subject("a.>").handler(nothing());
    let minute = Duration::from_secs(60);
    for (builder, what) in [
        (whole().group("g").lease(minute), "leave `lease` out"),
        (whole().lease(minute), "leave `lease` out"),
        (
            whole().durable("d").concurrency(2),
            "leave `concurrency` out",
        ),
        (whole().durable("d").group("g"), "more than one"),
        (whole().durable("d").name("n"), "live subscription"),
        (
            client.clone().subject("a.b").handler(nothing()),
            "no event has",
        ),
        (
            client.clone().subject("a").handler(nothing()),
            "no event has",
        ),
    ] {
        let refused = builder.build().unwrap_err().to_string();
        assert!(refused.contains(what), "{what}: {refused}");
    }

    let subscribe = async |builder: EventSubscriberBuilder| {
        let subscriber = builder.handler(nothing()).build().unwrap();
        let subscribed = timeout(Duration::from_secs(5), subscriber.subscribe()).await;
        subscribed.expect("an answer at once").unwrap_err()
    };
    let error = subscribe(plant.subscriber().subject("other.>")).await;
    assert!(
        matches!(&error, SubscriptionError::NotKept { pattern, .. } if pattern == "other.>"),
        "{error}"
    );
    let error = subscribe(plant.subscriber().stream("MISSING")).await;
    assert!(
        matches!(&error, SubscriptionError::StreamMissing { stream } if stream == "MISSING"),
        "{error}"
    );
    let builder = EventSubscriberBuilder::new().client(plant.connection.clone());
    let error = subscribe(builder.subject("nowhere.>")).await;
    assert!(
        matches!(&error, SubscriptionError::NoSingleStream { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_belongs_to_one_kind_of_subscription() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let subscriber = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE)
        .handler(log.handler(0));
    let _first = subscriber.build().unwrap().subscribe().await.unwrap();
    for builder in [
        plant
            .subscriber()
            .partitioned(&plant.name)
            .lease(crate::subscriber::LEASE),
        plant.subscriber().group(&plant.name),
    ] {
        let subscriber = builder.handler(log.handler(1)).build().unwrap();
        let error = subscriber.subscribe().await.unwrap_err();
        assert!(
            ErrorChain(&error)
                .to_string()
                .contains("is durable and cannot also be"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_stream() {
    let (one, two) = (
        Plant::new(Server::shared()).await,
        Plant::new(Server::shared()).await,
    );
    let log = Log::default();
    one.record("a", 1).await;
    two.record("b", 2).await;
    let name = |kind: &str| format!("{}-{kind}", one.name);
    let builders = |plant: &Plant| {
        [
            plant
                .subscriber()
                .durable(name("d"))
                .lease(crate::subscriber::LEASE),
            plant.subscriber().group(name("g")),
            plant
                .subscriber()
                .partitioned(name("p"))
                .lease(crate::subscriber::LEASE),
        ]
    };
    for (first, second) in builders(&one).into_iter().zip(builders(&two)) {
        let first = first.handler(log.handler(0)).build().unwrap();
        first.subscribe().await.unwrap().stop().await.unwrap();
        let second = second.handler(log.handler(1)).build().unwrap();
        let error = ErrorChain(&second.subscribe().await.unwrap_err()).to_string();
        let expected = format!(
            "reads stream {} and cannot also read {}",
            one.name, two.name
        );
        assert!(error.contains(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_subscription_that_came_further_than_its_stream_reaches_says_so() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let builder = |plant: &Plant| {
        plant
            .subscriber()
            .durable(&plant.name)
            .lease(crate::subscriber::LEASE)
    };
    let subscriber = builder(&plant).handler(log.handler(0)).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    for value in 1..=3 {
        plant.record("a", value).await;
    }
    log.wait_for("all", |log| log.distinct() == 3).await;
    subscription.stop().await.unwrap();
    // As after a disk was lost and a backup restored: what is appended now would stand where others stood before.
    let plant = plant.made_anew().await;
    plant.record("a", 4).await;
    let subscriber = builder(&plant).handler(log.handler(0)).build().unwrap();
    let ended = timeout(Duration::from_secs(15), async {
        subscriber.subscribe().await?.await
    });
    let error = ended.await.expect("it ends").unwrap_err();
    assert!(
        matches!(error, SubscriptionError::StreamRemade { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn one_that_is_asked_to_end_leaves_its_name_to_the_next_at_once() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    for value in 1..=2 {
        plant.record("a", value).await;
        let builder = plant
            .subscriber()
            .durable(&plant.name)
            .lease(crate::subscriber::LEASE);
        let builder = builder.lease(Duration::from_secs(60));
        let subscriber = builder.handler(log.handler(0)).build().unwrap();
        let subscription = subscriber.subscribe().await.unwrap();
        let asked_to_end = log.wait_for("it", |log| log.values().contains(&value));
        let ended = timeout(Duration::from_secs(10), subscription.until(asked_to_end)).await;
        ended.expect("it waits for no sign of life").unwrap();
    }
    assert_eq!(log.values(), [1, 2]);
}

#[tokio::test]
async fn a_refused_permission_is_named_and_not_asked_for_again_and_again() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let reader = connect(vec![Server::shared().url()], User::Reader).await;
    // The reader may make consumers on another stream alone.
    let builder = || plant.subscriber().client(reader.clone());
    let builders = [
        builder(),
        builder()
            .durable(format!("{}-d", plant.name))
            .lease(crate::subscriber::LEASE),
        builder()
            .partitioned(format!("{}-p", plant.name))
            .lease(crate::subscriber::LEASE),
    ];
    for builder in builders {
        let subscriber = builder.handler(log.handler(0)).build().unwrap();
        let ended = timeout(
            Duration::from_secs(10),
            subscriber.subscribe().await.unwrap(),
        )
        .await;
        let error = ended.expect("an answer at once").unwrap_err();
        let SubscriptionError::Denied(denied) = &error else {
            panic!("{error}");
        };
        assert!(denied.subject.contains("CONSUMER.CREATE"), "{denied}");
    }
    let group = builder().group(&plant.name).handler(log.handler(0));
    let subscribed = timeout(Duration::from_secs(5), group.build().unwrap().subscribe()).await;
    let error = subscribed.expect("an answer at once").unwrap_err();
    assert!(matches!(error, SubscriptionError::Denied(_)), "{error}");
    let violations = Server::shared()
        .log()
        .matches("Permissions Violation")
        .count();
    assert!(violations < 80, "{violations} requests that were refused");
}

#[tokio::test]
async fn a_deleted_stream_ends_its_subscriptions() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let live = plant.subscriber().handler(log.handler(0)).build().unwrap();
    let live = live.subscribe().await.unwrap();
    let durable = plant
        .subscriber()
        .durable(&plant.name)
        .lease(crate::subscriber::LEASE)
        .handler(log.handler(0));
    let durable = durable.build().unwrap().subscribe().await.unwrap();
    let group = plant
        .subscriber()
        .group(format!("{}-g", plant.name))
        .handler(log.handler(0));
    let group = group.build().unwrap().subscribe().await.unwrap();
    plant.record("a", 1).await;
    log.wait_for("all", |log| log.values() == [1, 1, 1]).await;
    plant
        .connection
        .jetstream()
        .delete_stream(&plant.name)
        .await
        .unwrap();
    for subscription in [live, durable, group] {
        let ended = timeout(Duration::from_secs(15), subscription).await;
        let error = ended.expect("it ends").unwrap_err();
        assert!(
            matches!(&error, SubscriptionError::StreamMissing { .. }),
            "{error}"
        );
    }
}

#[test]
fn the_subjects_of_an_enum_are_those_of_its_aggregate_and_the_former_ones() {
    let subjects = MeterEvent::subjects();
    assert_eq!(subjects.to_string(), "plant.meter.>");
    assert!(subjects.matches("plant.meter.noted"));
    assert_eq!(<Meter as Aggregate>::KIND, "plant.meter");
}
