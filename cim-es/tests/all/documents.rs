//! Documents: what a projection puts is what is found, in the batch and after it.

use std::sync::Arc;
use std::time::Duration;

use cim_es::document::{
    Document, DocumentBatch, DocumentError, DocumentReader, Documents, IndexField, SplitReader,
};
use cim_es::prelude::*;
use cim_es::store::read_model::{
    Page, ReadModelStorage, ReadModelStorageExt, ViewDeclaration, ViewId,
};
use cim_es::store::{Bookmark, Position};
use cim_es::{MemoryReadModels, value};

struct Reader;

value! {
    /// Where a book stands.
    pub Place: "place", "a text that is not empty", |text| !text.is_empty()
}

#[derive(IndexField, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shelf {
    OpenAccess,
    Vault,
}

#[derive(IndexField, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Year(i16);

#[derive(Document, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Card {
    title: String,
    #[index]
    reader: Option<Id<Reader>>,
    #[index]
    shelf: Shelf,
    #[index]
    tags: Vec<String>,
    #[index]
    year: Year,
    #[index]
    place: Place,
    weight: f64,
}

fn card(title: &str) -> Card {
    Card {
        title: title.to_owned(),
        reader: None,
        shelf: Shelf::OpenAccess,
        tags: Vec::new(),
        year: Year(1965),
        place: Place::new("hall").unwrap(),
        weight: 0.5,
    }
}

struct View {
    storage: MemoryReadModels,
    view: ViewId,
    holder: Uuid,
    batch: DocumentBatch<Card>,
    up_to: Bookmark,
}

impl View {
    async fn new() -> Self {
        let storage = MemoryReadModels::new();
        let view = ViewId::new("cards", 1).unwrap();
        let holder = Uuid::now_v7();
        let declaration = ViewDeclaration::new(view.clone(), Card::FINGERPRINT);
        storage.open_view(&declaration).await.unwrap();
        let lease = Duration::from_secs(100);
        storage.hold(&view, holder, lease).await.unwrap();
        storage.serve(&view).await.unwrap();
        let shared: Arc<dyn ReadModelStorage> = Arc::new(storage.clone());
        Self {
            batch: DocumentBatch::new(shared, view.clone()),
            storage,
            view,
            holder,
            up_to: Bookmark::START,
        }
    }

    fn cards(&mut self) -> Documents<'_, Card> {
        self.batch.documents()
    }

    async fn commit(&mut self) {
        let next = Position(self.up_to.position.0 + 1).into();
        let changes = self.batch.changes(self.holder, self.up_to, next);
        self.storage.commit(&self.view, changes).await.unwrap();
        self.batch.stored();
        self.up_to = next;
    }

    fn reader(&self) -> DocumentReader<Card> {
        DocumentReader::new(self.storage.clone(), "cards")
    }
}

async fn keys(cards: &mut Documents<'_, Card>, page: &Page) -> Vec<String> {
    let page = cards.list(page).await.unwrap();
    page.documents.into_iter().map(|card| card.key).collect()
}

#[tokio::test]
async fn what_is_put_is_seen_in_the_batch_and_by_others_after_the_commit() {
    let mut view = View::new().await;
    let reader = view.reader();
    view.cards().put("dune", card("Dune")).unwrap();
    assert_eq!(view.cards().get("dune").await.unwrap(), Some(card("Dune")));
    assert_eq!(reader.get("dune").await.unwrap().value, None);
    view.commit().await;
    let seen = reader.get("dune").await.unwrap();
    assert_eq!((seen.value, seen.position.0), (Some(card("Dune")), 1));
    view.cards().delete("dune").unwrap();
    assert_eq!(view.cards().get("dune").await.unwrap(), None);
    assert_eq!(reader.get("dune").await.unwrap().value, Some(card("Dune")));
    view.commit().await;
    assert_eq!(reader.get("dune").await.unwrap().value, None);
    assert_eq!(view.cards().get("dune").await.unwrap(), None);
}

#[tokio::test]
async fn documents_are_found_by_every_kind_of_index() {
    let mut view = View::new().await;
    let ann = Id::<Reader>::new();
    let dune = Card {
        reader: Some(ann),
        shelf: Shelf::Vault,
        tags: vec!["sand".into(), "spice".into()],
        ..card("Dune")
    };
    view.cards().put("dune", &dune).unwrap();
    view.cards().put("emma", card("Emma")).unwrap();
    for is_stored in [false, true] {
        if is_stored {
            view.commit().await;
        }
        let mut cards = view.cards();
        let page = Page::default();
        let one = |found: cim_es::document::Found<Card>| {
            let keys = found.documents.into_iter().map(|card| card.key);
            keys.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            one(cards.find("reader", &ann, &page).await.unwrap()),
            "dune"
        );
        assert_eq!(
            one(cards.find("reader", &Some(ann), &page).await.unwrap()),
            "dune"
        );
        assert_eq!(
            one(cards.find("shelf", &Shelf::Vault, &page).await.unwrap()),
            "dune"
        );
        assert_eq!(
            one(cards.find("shelf", "open_access", &page).await.unwrap()),
            "emma"
        );
        assert_eq!(
            one(cards.find("tags", "spice", &page).await.unwrap()),
            "dune"
        );
        assert_eq!(
            one(cards.find("year", &1965, &page).await.unwrap()),
            "dune emma"
        );
        assert_eq!(
            one(cards.find("year", &Year(1965), &page).await.unwrap()),
            "dune emma"
        );
        let hall = Place::new("hall").unwrap();
        assert_eq!(
            one(cards.find("place", &hall, &page).await.unwrap()),
            "dune emma"
        );
        assert_eq!(one(cards.find("tags", "salt", &page).await.unwrap()), "");
    }
    let found = view.reader().find("reader", &ann, &Page::default()).await;
    assert_eq!(found.unwrap().value.documents[0].document, dune);
}

#[tokio::test]
async fn a_page_in_a_batch_is_that_of_what_is_stored_with_what_was_put() {
    let mut view = View::new().await;
    for number in [1, 3, 5, 7, 9] {
        view.cards()
            .put(&number.to_string(), card("stored"))
            .unwrap();
    }
    view.commit().await;
    let mut cards = view.cards();
    cards.put("4", card("new")).unwrap();
    cards
        .put(
            "6",
            Card {
                shelf: Shelf::Vault,
                ..card("new")
            },
        )
        .unwrap();
    cards.delete("5").unwrap();
    cards
        .put(
            "7",
            Card {
                shelf: Shelf::Vault,
                ..card("moved")
            },
        )
        .unwrap();
    assert_eq!(
        keys(&mut cards, &Page::default()).await,
        ["1", "3", "4", "6", "7", "9"]
    );
    for limit in 1..8 {
        let mut all = Vec::new();
        let mut page = Page::first(limit);
        loop {
            let found = cards.list(&page).await.unwrap();
            assert!(found.documents.len() <= limit);
            all.extend(found.documents.into_iter().map(|card| card.key));
            match found.next {
                Some(next) => page = page.after(next),
                None => break,
            }
        }
        assert_eq!(all, ["1", "3", "4", "6", "7", "9"], "pages of {limit}");
    }
    let open = cards
        .find("shelf", &Shelf::OpenAccess, &Page::default())
        .await
        .unwrap();
    let open: Vec<_> = open.documents.into_iter().map(|card| card.key).collect();
    assert_eq!(open, ["1", "3", "4", "9"]);
}

#[tokio::test]
async fn what_a_commit_of_events_put_can_be_taken_back() {
    let mut view = View::new().await;
    view.cards().put("stored", card("stored")).unwrap();
    view.commit().await;
    view.batch.mark();
    view.cards().put("before", card("one")).unwrap();
    view.batch.mark();
    let mut cards = view.cards();
    cards.put("before", card("two")).unwrap();
    cards.put("before", card("three")).unwrap();
    cards.put("new", card("new")).unwrap();
    cards.delete("stored").unwrap();
    view.batch.undo();
    let mut cards = view.cards();
    assert_eq!(cards.get("before").await.unwrap(), Some(card("one")));
    assert_eq!(cards.get("new").await.unwrap(), None);
    assert_eq!(cards.get("stored").await.unwrap(), Some(card("stored")));
    assert_eq!(view.batch.len(), 1);
}

#[tokio::test]
async fn what_is_known_is_forgotten_where_a_commit_failed() {
    let mut view = View::new().await;
    view.cards().put("dune", card("one")).unwrap();
    view.commit().await;
    view.batch
        .expect(["dune".to_owned(), "none".to_owned()])
        .await
        .unwrap();
    // Somebody else goes on with the view.
    let other = Uuid::now_v7();
    view.storage.release(&view.view, view.holder).await.unwrap();
    view.storage
        .hold(&view.view, other, Duration::from_secs(9))
        .await
        .unwrap();
    let mut theirs = DocumentBatch::<Card>::new(Arc::new(view.storage.clone()), view.view.clone());
    theirs.documents().put("dune", card("theirs")).unwrap();
    let changes = theirs.changes(other, view.up_to, Position(2).into());
    view.storage.commit(&view.view, changes).await.unwrap();
    view.cards().put("none", card("late")).unwrap();
    let changes = view
        .batch
        .changes(view.holder, view.up_to, Position(2).into());
    view.storage.commit(&view.view, changes).await.unwrap_err();
    view.batch.forget();
    assert_eq!(
        view.cards().get("dune").await.unwrap(),
        Some(card("theirs"))
    );
    assert_eq!(view.cards().get("none").await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_stored_or_asked_for_says_what_to_do() {
    let mut view = View::new().await;
    let said = |error: DocumentError| error.to_string();
    let mut cards = view.cards();
    let nan = Card {
        weight: f64::NAN,
        ..card("Dune")
    };
    let refused = said(cards.put("dune", nan).unwrap_err());
    assert!(
        refused.starts_with("document `dune` (Card) cannot be stored: field `weight`: "),
        "{refused}"
    );
    let long = Card {
        tags: vec!["v".repeat(1_025)],
        ..card("Dune")
    };
    let refused = said(cards.put("dune", long).unwrap_err());
    assert!(refused.contains("index `tags` has 1025 bytes"), "{refused}");
    let refused = said(cards.put("", card("Dune")).unwrap_err());
    assert_eq!(refused, "a key has 1 to 255 bytes, this one has 0: ``");
    assert_eq!(cards.get("dune").await.unwrap(), None);
    let refused = said(
        cards
            .find("title", "Dune", &Page::default())
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused,
        "`Card` is not found by `title`: its indexes are `reader`, `shelf`, `tags`, `year`, `place`; put `#[index]` on the field, and raise the version of the projection"
    );
    let nobody = None::<Id<Reader>>;
    let refused = said(
        cards
            .find("reader", &nobody, &Page::default())
            .await
            .unwrap_err(),
    );
    assert!(refused.contains("`reader` was asked for 0"), "{refused}");

    let reader = DocumentReader::<Card>::new(view.storage.clone(), "loans");
    let refused = said(reader.get("dune").await.unwrap_err());
    assert!(
        refused.starts_with("no version of view `loans` can be asked yet"),
        "{refused}"
    );
}

#[derive(Document, Debug, Serialize, Deserialize)]
struct OtherCard {
    name: String,
}

#[tokio::test]
async fn a_document_of_another_form_is_an_error_that_names_it() {
    let mut view = View::new().await;
    view.cards().put("dune", card("Dune")).unwrap();
    view.commit().await;
    let reader = DocumentReader::<OtherCard>::new(view.storage.clone(), "cards");
    let refused = reader.get("dune").await.unwrap_err();
    let DocumentError::NotReadable { document, key, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((document, key.as_str()), ("OtherCard", "dune"));
}

#[tokio::test]
async fn a_reader_follows_the_version_that_takes_over() {
    let mut view = View::new().await;
    view.cards().put("dune", card("one")).unwrap();
    view.commit().await;
    let reader = view.reader();
    assert_eq!(reader.get("dune").await.unwrap().value, Some(card("one")));
    let next = ViewId::new("cards", 2).unwrap();
    view.storage
        .open_view(&ViewDeclaration::new(next.clone(), 2))
        .await
        .unwrap();
    view.storage
        .hold(&next, view.holder, Duration::from_secs(9))
        .await
        .unwrap();
    let mut batch = DocumentBatch::<Card>::new(Arc::new(view.storage.clone()), next.clone());
    batch.documents().put("dune", card("two")).unwrap();
    let changes = batch.changes(view.holder, Bookmark::START, Position(9).into());
    view.storage.commit(&next, changes).await.unwrap();
    assert_eq!(reader.get("dune").await.unwrap().value, Some(card("one")));
    view.storage.serve(&next).await.unwrap();
    view.storage.remove_view(&view.view).await.unwrap();
    // The version that it knew is gone.
    let seen = reader.get("dune").await.unwrap();
    assert_eq!((seen.value, seen.position.0), (Some(card("two")), 9));
    assert_eq!(
        view.storage.serving("cards").await.unwrap().unwrap().view,
        next
    );
}

#[test]
fn the_fingerprint_of_a_document_is_that_of_its_fields_and_indexes() {
    mod same {
        use super::*;

        #[derive(Document, Serialize, Deserialize)]
        pub struct Note {
            #[index]
            by: String,
            text: String,
        }
    }
    mod other_order {
        use super::*;

        /// With a text for readers.
        #[derive(Document, Serialize, Deserialize)]
        pub struct Note {
            text: String,
            #[index]
            by: String,
        }
    }
    mod other_index {
        use super::*;

        #[derive(Document, Serialize, Deserialize)]
        pub struct Note {
            #[index]
            text: String,
            #[index]
            by: String,
        }
    }
    mod other_type {
        use super::*;

        #[derive(Document, Serialize, Deserialize)]
        pub struct Note {
            text: Option<String>,
            #[index]
            by: String,
        }
    }
    assert_eq!(same::Note::FINGERPRINT, other_order::Note::FINGERPRINT);
    assert_ne!(same::Note::FINGERPRINT, other_index::Note::FINGERPRINT);
    assert_ne!(same::Note::FINGERPRINT, other_type::Note::FINGERPRINT);
    assert_eq!(other_index::Note::INDEXES, ["text", "by"]);
}

#[tokio::test]
async fn a_name_that_no_view_can_have_is_refused_with_what_a_name_looks_like() {
    let storage = MemoryReadModels::new();
    for (name, shown, reason) in [
        (
            "my\ncards",
            "`my\\ncards`",
            "a name has only `a` to `z`, `0` to `9`, `_` and `-`",
        ),
        ("", "``", "a name begins with a letter"),
        ("Cards", "`Cards`", "a name begins with a letter"),
        (
            &"c".repeat(65),
            &format!("`{}…`", "c".repeat(64)),
            "a name has at most 64 characters",
        ),
    ] {
        let reader = DocumentReader::<Card>::new(storage.clone(), name);
        let said = reader.get("dune").await.unwrap_err().to_string();
        let begins = format!("{shown} cannot name a view: {reason}");
        assert!(said.starts_with(&begins), "{said}");
        let split = SplitReader::<Card>::new(storage.clone(), name);
        let said = split.list(&Page::first(1)).await.unwrap_err().to_string();
        assert!(said.starts_with(&begins), "{said}");
    }
}
