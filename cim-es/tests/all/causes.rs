//! What caused a command: another message, or an event that is stored.

use cim_es::prelude::*;

use crate::account::{Account, AccountCommand};

#[tokio::test]
async fn a_command_caused_by_a_stored_event_inherits_its_correlation_and_its_actor() {
    let accounts = Repository::<Account>::new(MemoryEventStore::new());
    let (id, root) = (
        Id::<Account>::new(),
        MessageIdentity::new_from_user("alice"),
    );
    let opened = accounts
        .execute(&id, AccountCommand::Open, &root)
        .await
        .unwrap();
    let event = &opened.events()[0];
    let child = MessageIdentity::caused_by(event);
    assert_ne!(child.message_id(), root.message_id());
    assert_eq!(child.correlation_id(), root.message_id());
    assert_eq!(child.causation_id(), Some(event.envelope.id));
    assert_eq!(child.actor(), Some("alice"));
}
