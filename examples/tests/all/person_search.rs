//! People are found by the words of their names, as the names are now.

use std::sync::Arc;

use cim_es::prelude::*;
use cim_es::store::EventStore;
use cim_es::store::read_model::Page;
use cim_es_examples::person::name::PersonName;
use cim_es_examples::person::search::{Search, SearchError};
use cim_es_examples::person::{Person, PersonCommand};

fn identity() -> MessageIdentity {
    MessageIdentity::new_from_user("test")
}

fn name(text: &str) -> PersonName {
    PersonName::from_full(text).expect("a name")
}

async fn created(persons: &Repository<Person>, text: &str) -> Id<Person> {
    let id = Id::new();
    let create = PersonCommand::Create {
        name: name(text),
        source: "a list".parse().expect("a label"),
    };
    let created = persons.execute(&id, create, &identity()).await;
    created.expect("it is accepted");
    id
}

async fn found(search: &Search, text: &str) -> Vec<String> {
    let found = search.find(text, &Page::first(20)).await.unwrap();
    let names = found.value.documents.iter();
    names.map(|it| it.document.name.to_string()).collect()
}

#[tokio::test]
async fn people_are_found_by_words_of_their_names_without_regard_to_case() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("person.db");
    let store: Arc<dyn EventStore> = Arc::new(SqliteEventStore::open(&path).unwrap());
    let persons = Repository::<Person>::new(Arc::clone(&store));
    let ada = created(&persons, "Ada Lovelace").await;
    let other = created(&persons, "Ada King").await;
    created(&persons, "Flann O'Brien").await;

    let search = Search::open(Arc::clone(&store), Some(&path)).await.unwrap();
    assert_eq!(found(&search, "LOVELACE").await, ["Ada Lovelace"]);
    assert_eq!(found(&search, "king, ada").await, ["Ada King"]);
    assert_eq!(found(&search, "o'brien").await, ["Flann O'Brien"]);
    assert_eq!(found(&search, "love").await, [""; 0]);
    let mut both = found(&search, "ada").await;
    both.sort();
    assert_eq!(both, ["Ada King", "Ada Lovelace"]);
    let refused = search.find(" ,-", &Page::default()).await.unwrap_err();
    assert!(matches!(refused, SearchError::NoWord(_)), "{refused}");
    search.close().await;

    // Another name, and a record that stands for nobody any more.
    let reason = || "the register says so".parse().expect("a reason");
    let rename = PersonCommand::UpdateName {
        name: name("Augusta Ada Lovelace"),
        reason: reason(),
    };
    persons.execute(&ada, rename, &identity()).await.unwrap();
    let merge = PersonCommand::MergeInto {
        target: ada,
        reason: reason(),
    };
    persons.execute(&other, merge, &identity()).await.unwrap();
    for beside in [Some(path.as_path()), None] {
        let search = Search::open(Arc::clone(&store), beside).await.unwrap();
        assert_eq!(found(&search, "ada").await, ["Augusta Ada Lovelace"]);
        assert_eq!(found(&search, "augusta").await, ["Augusta Ada Lovelace"]);
        assert_eq!(found(&search, "king").await, [""; 0]);
        search.close().await;
    }
}
