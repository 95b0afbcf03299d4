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

#[tokio::test]
async fn the_event_that_caused_a_command_is_a_parent_of_what_it_leads_to() {
    let store = MemoryEventStore::new();
    let accounts = Repository::<Account>::new(store.clone());
    let (one, other) = (Id::new(), Id::new());
    let root = MessageIdentity::new_from_user("alice");
    let opened = accounts.execute(&one, AccountCommand::Open, &root).await;
    let cause = opened.unwrap().events()[0].clone();
    assert_eq!(cause.envelope.parents, []);
    for identity in [
        MessageIdentity::caused_by(&cause),
        MessageIdentity::caused_once_by(&cause, "follow").with_actor("bob"),
    ] {
        let context = Context::new(identity.clone(), Timestamp::from_micros(0));
        assert_eq!(context.cause(), Some(cause.cid));
        let open = AccountCommand::Open;
        let commands = [open, AccountCommand::Deposit { amount: 1 }];
        let commit = accounts.execute_all(&Id::new(), commands, &identity).await;
        let parents: Vec<_> = (commit.unwrap().events().iter())
            .map(|event| event.envelope.parents.clone())
            .collect();
        assert_eq!(parents, [vec![cause.cid], vec![]]);
    }
    let by_message = MessageIdentity::caused_by(&root);
    assert_eq!(by_message.cause(), None);
    let commit = accounts
        .execute(&other, AccountCommand::Open, &by_message)
        .await;
    assert_eq!(commit.unwrap().events()[0].envelope.parents, []);
}
