//! What a subscription gave up on.

use std::time::Duration;

use cim_es::block::StoredEvent;
use cim_es::store::EventStore;
use cim_es::subscription::{EventSubscriberBuilder, FnEventHandler, HandlerError};
use serde_json::json;

use super::support::{Directory, about, file, fill, lines};

/// Parks the reader of the library for a subscription that cannot handle it.
pub async fn park(store: &(impl EventStore + Clone)) {
    let handler = FnEventHandler::new(async |_: StoredEvent| {
        Err::<(), _>(HandlerError::permanent("no printer"))
    });
    let subscriber = EventSubscriberBuilder::new()
        .store(store)
        .subject("library.reader.>")
        .handler(handler)
        .durable("reminders")
        .build()
        .expect("a subscriber");
    let running = subscriber.subscribe().await.expect("it starts");
    let parked = subscriber.parked().await.expect("a place");
    while parked.list().await.expect("a list").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.stop().await.expect("it ends");
}

#[test]
fn what_is_parked_is_listed_and_a_request_is_kept_for_the_subscription() {
    let directory = Directory::new();
    let file = file(&directory);
    fill(&file, async |store| park(store).await);
    let listed = lines(&about(&file, &["--json", "parked", "reminders"]));
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (
            &listed[0]["position"],
            &listed[0]["reason"],
            &listed[0]["request"]
        ),
        (&json!(3), &json!("no printer"), &json!(null))
    );
    let table = about(&file, &["parked", "reminders"]);
    assert!(
        table.out.contains("library.reader.registered") && table.out.contains("no printer"),
        "{table:?}"
    );
    let resend = about(&file, &["parked", "reminders", "--resend", "3"]);
    assert_eq!(resend.code, 0, "{resend:?}");
    assert!(resend.out.contains("resend"), "{resend:?}");
    let listed = lines(&about(&file, &["--json", "parked", "reminders"]));
    assert_eq!(listed[0]["request"], json!("resend"));
    let other = about(&file, &["parked", "reminders", "--discard", "4"]);
    assert_eq!(other.code, 2, "{other:?}");
    let misspelled = about(&file, &["parked", "remainders"]);
    assert_eq!(misspelled.code, 2, "{misspelled:?}");
    assert!(
        misspelled.err.contains("no subscription `remainders`"),
        "{misspelled:?}"
    );
}
