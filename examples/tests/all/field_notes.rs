//! Notes that are taken without a network: what the program shows, with a file for a server and with a server.

use cim_es::SqliteEventStore;
use cim_es::hybrid::{NatsConnector, Reachable};
use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es_examples::field_notes::{Road, tell};
use cim_es_tests::nats::{Server, User};

/// What a page shows of the program.
fn shown_by(page: &'static str) -> &'static str {
    let (_, block) = page.split_once("```text\n").expect("the page has it");
    block.split_once("```").expect("it ends").0
}

/// What the page of the program shows.
fn shown() -> &'static str {
    shown_by(include_str!("../../field_notes/README.md"))
}

#[test]
fn the_guide_shows_the_same() {
    let guide = include_str!("../../../cim-es/src/guide/hybrid.md");
    assert_eq!(shown_by(guide), shown());
}

async fn told(road: impl FnOnce(&std::path::Path) -> Road) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    let road = road(folder.path());
    tell(folder.path(), road, &mut text).await.unwrap();
    text
}

fn check(text: &str) {
    let rest = text.strip_prefix(shown());
    let rest: Vec<_> = rest.unwrap_or_else(|| panic!("{text}")).lines().collect();
    assert!(
        rest[0].starts_with("  a further command of ben: "),
        "{text}"
    );
    assert_eq!(
        rest[1..],
        ["  everything else goes on: both have 2 ropes now"],
        "{text}"
    );
}

#[tokio::test]
async fn two_files_are_brought_together_and_what_went_apart_is_told() {
    let text = told(|folder| {
        let server = SqliteEventStore::open(folder.join("server.db")).unwrap();
        Road::to(Reachable(server))
    });
    check(&text.await);
}

#[tokio::test]
async fn the_same_on_a_server() {
    let server = Server::start();
    let user = User::Operator;
    let config = NatsConfig::new([server.url()])
        .user_and_password(user.name(), user.password())
        .event_store(EventStoreConfig::new("FIELD_NOTES", ["field.>"]));
    check(&told(|_| Road::to(NatsConnector::new(config))).await);
}
