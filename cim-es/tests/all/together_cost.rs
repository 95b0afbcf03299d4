//! Several commands as one commit cost what they change, and not the whole aggregate for each.

use std::sync::atomic::{AtomicUsize, Ordering};

use cim_es::prelude::*;
use cim_es::repository::rehearse;

static COPIES: AtomicUsize = AtomicUsize::new(0);

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ShelfState {
    #[state(initial)]
    #[on(Put / PutUp => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum ShelfEvent {
    #[apply(titles.0.push(title))]
    PutUp { title: String },
}

#[derive(Command, Clone, Debug)]
enum ShelfCommand {
    Put { title: String },
}

/// Counts how often it is copied.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Titles(Vec<String>);

impl Clone for Titles {
    fn clone(&self) -> Self {
        COPIES.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "shelf", unique = Shelf::unique_names)]
struct Shelf {
    state: ShelfState,
    titles: Titles,
}

impl Shelf {
    fn unique_names(&self) -> Vec<UniqueName> {
        let titles = self.titles.0.iter();
        titles
            .map(|title| UniqueName::new("title", title))
            .collect()
    }
}

impl Decide for Shelf {
    fn decide(&self, command: ShelfCommand, _: &Context) -> Decision<Self> {
        let ShelfCommand::Put { title } = command;
        emit(ShelfEvent::PutUp { title })
    }
}

fn commands(count: usize) -> impl Iterator<Item = ShelfCommand> {
    (0..count).map(move |number| ShelfCommand::Put {
        title: format!("{number} of {count}"),
    })
}

/// One test, because the tests of a file share the counter.
#[tokio::test]
async fn the_aggregate_is_not_copied_for_each_command() {
    let shelves = Repository::<Shelf>::new(MemoryEventStore::new());
    let mut copies = Vec::new();
    for count in [2, 50] {
        let (id, identity) = (Id::new(), MessageIdentity::new_from_user("test"));
        let before = COPIES.load(Ordering::Relaxed);
        let executed = shelves.execute_all(&id, commands(count), &identity);
        assert_eq!(
            executed.await.expect("each is accepted").events().len(),
            count
        );
        copies.push(COPIES.load(Ordering::Relaxed) - before);
    }
    assert_eq!(copies[0], copies[1]);

    let context = Context::new(
        MessageIdentity::new_from_user("test"),
        Timestamp::from_micros(0),
    );
    let (mut shelf, before) = (Shelf::default(), COPIES.load(Ordering::Relaxed));
    for command in commands(50) {
        rehearse(&mut shelf, command, &context).expect("it is accepted");
    }
    assert_eq!(shelf.titles.0.len(), 50);
    assert_eq!(COPIES.load(Ordering::Relaxed), before);
}
