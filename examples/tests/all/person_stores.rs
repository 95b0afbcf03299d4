//! People on every engine: the same file, the same history, however it races.

use cim_es::prelude::*;
use cim_es::store::EventStore;
use cim_es_examples::person::import::{Mode, Outcome, import};
use cim_es_examples::person::merge::{MergeError, merge};
use cim_es_examples::person::values::Reason;
use cim_es_examples::person::vcard::{Cards, Identify};
use cim_es_examples::person::{Person, PersonCommand, PersonState};
use tokio::task::JoinSet;

const PEOPLE: &[u8] = include_bytes!("../../person/people.vcf");

async fn imported(persons: Repository<Person>, mode: Mode) -> Outcome {
    let cards = Cards::read(PEOPLE, Identify::ByUid);
    let source = "people.vcf".parse().expect("a source");
    let outcome = import(&persons, &cards, &source, mode, || {}).await;
    outcome.expect("the store takes it")
}

fn reason() -> Reason {
    "the same person".parse().expect("a reason")
}

async fn people_are_kept(store: impl EventStore + Clone) {
    let mut racing = JoinSet::new();
    for _ in 0..4 {
        racing.spawn(imported(Repository::new(store.clone()), Mode::EachCard));
    }
    let outcomes = racing.join_all().await;
    assert_eq!(outcomes.iter().map(|it| it.new).sum::<usize>(), 3);
    assert!(
        outcomes
            .iter()
            .all(|it| it.bad.is_empty() && it.changed == 0)
    );
    let persons = Repository::<Person>::new(store.clone());
    let again = imported(persons.clone(), Mode::AllOrNothing).await;
    assert_eq!((again.unchanged, again.events.len()), (3, 0));

    let everybody = persons.load_all().await.expect("it is read");
    let id_of = |name: &str| {
        let is_it = |person: &Person| {
            person
                .name
                .as_ref()
                .is_some_and(|it| it.to_string() == name)
        };
        let mut everybody = everybody.iter();
        let found = everybody.find(|(_, person)| is_it(person));
        found.expect("it is there").0
    };
    let (grace, hypatia) = (id_of("Dr. Grace Brewster Hopper"), id_of("Hypatia"));
    let history = persons
        .history(&id_of("Ada Lovelace"))
        .await
        .expect("it is read");
    assert_eq!(history.len(), 7, "one commit of one import");
    assert_eq!(history[6].stored.envelope.commit, [7; 4].into());

    let identity = || MessageIdentity::new_from_user("test");
    let nobody = Id::<Person>::new();
    let refused = merge(&persons, &grace, nobody, reason(), &identity()).await;
    assert!(matches!(refused, Err(MergeError::Unknown(it)) if it == nobody));
    merge(&persons, &grace, hypatia, reason(), &identity())
        .await
        .expect("both are live");
    let refused = merge(&persons, &hypatia, grace, reason(), &identity()).await;
    let message = refused.expect_err("that one has ended").to_string();
    assert_eq!(
        message,
        format!("{grace} is merged into {hypatia}: merge into that one")
    );
    let ended = persons.load(&grace).await.expect("it loads");
    assert_eq!(
        (ended.state(), ended.merged_into),
        (PersonState::Merged, Some(hypatia))
    );

    for command in [
        PersonCommand::Deactivate { reason: reason() },
        PersonCommand::Archive { reason: reason() },
    ] {
        persons
            .execute(&hypatia, command, &identity())
            .await
            .expect("it is accepted");
    }
    let ada = id_of("Ada Lovelace");
    let refused = merge(&persons, &ada, hypatia, reason(), &identity()).await;
    assert!(matches!(refused, Err(MergeError::Archived(it)) if it == hypatia));
    let refused = merge(&persons, &ada, ada, reason(), &identity()).await;
    assert_eq!(
        refused.expect_err("she has died").to_string(),
        "`MergeInto` is not accepted in state `Deceased`, which accepts `UpdateAttribute`, `InvalidateAttribute`, \
         `Import`, `Archive`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_kept_in_memory() {
    people_are_kept(MemoryEventStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_kept_in_a_file() {
    let (_directory, store) = crate::engines::file();
    people_are_kept(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_kept_on_a_server() {
    let (_server, stores) = crate::engines::server("PEOPLE_EVENTS", "people.>").await;
    people_are_kept(stores).await;
}
