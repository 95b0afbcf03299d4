//! Views and commits that the tests of the contract share.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::block::{Cid, HashCode};
use crate::store::read_model::{
    DocumentChange, DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage,
    ReadModelStorageExt, UpTo, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Bookmark, Position};

/// A lease that is not over before the test is.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
pub(super) const FINGERPRINT: u64 = 0xfeed_face_cafe_beef;

pub(super) fn id(name: &'static str, version: u32) -> ViewId {
    ViewId::new(name, version).expect("the name of a view")
}

pub(super) fn declared(view: &ViewId) -> ViewDeclaration {
    ViewDeclaration::new(view.clone(), FINGERPRINT)
}

/// Opens a view and holds it for long.
pub(super) async fn held(storage: &impl ReadModelStorage, view: &ViewId) -> Uuid {
    let holder = Uuid::now_v7();
    storage
        .open_view(&declared(view))
        .await
        .expect("the view opens");
    let hold = storage.hold(view, holder, LONG).await;
    let hold = hold.expect("the view can be asked for");
    assert!(matches!(hold, Hold::Held { .. }), "{hold:?}");
    holder
}

/// The event at a position; the same position always has the same event.
pub(super) fn at(position: u64) -> Bookmark {
    match position {
        0 => Bookmark::START,
        _ => Bookmark {
            position: Position(position),
            cid: Some(cid(position, "this")),
        },
    }
}

/// Another event at the same position.
pub(super) fn elsewhere(position: u64) -> Bookmark {
    Bookmark {
        position: Position(position),
        cid: Some(cid(position, "other")),
    }
}

fn cid(position: u64, history: &str) -> Cid {
    HashCode::default().cid(format!("{history} {position}").as_bytes())
}

pub(super) async fn commit(
    storage: &impl ReadModelStorage,
    view: &ViewId,
    holder: Uuid,
    (after, up_to): (u64, u64),
    documents: Vec<DocumentChange>,
) -> Result<(), ReadModelError> {
    let changes = ViewChanges::new(holder, at(after), at(up_to)).with_documents(documents);
    storage.commit(view, changes).await
}

pub(super) async fn record(storage: &impl ReadModelStorage, view: &ViewId) -> ViewRecord {
    let record = storage.view(view).await.expect("the views are known");
    record.expect("the view is there")
}

pub(super) async fn get(
    storage: &impl ReadModelStorage,
    view: &ViewId,
    key: &str,
) -> Option<Bytes> {
    let found = storage.get(view, key).await;
    found.expect("the document can be asked for").value
}

/// The keys of the documents with an index entry, over all pages.
pub(super) async fn found(
    storage: &impl ReadModelStorage,
    view: &ViewId,
    field: &'static str,
    value: &str,
) -> Vec<String> {
    let entry = IndexEntry::new(field, value);
    let mut keys = Vec::new();
    let mut page = Page::first(3);
    loop {
        let found = storage.find(view, &entry, &page).await;
        match taken(&mut keys, found, &page) {
            Some(next) => page = page.after(next),
            None => return keys,
        }
    }
}

/// The keys of all documents, over pages of some length.
pub(super) async fn listed(
    storage: &impl ReadModelStorage,
    view: &ViewId,
    limit: usize,
) -> Vec<String> {
    let mut keys = Vec::new();
    let mut page = Page::first(limit);
    loop {
        let listed = storage.list(view, &page).await;
        match taken(&mut keys, listed, &page) {
            Some(next) => page = page.after(next),
            None => return keys,
        }
    }
}

/// Takes the keys of a page; where to go on.
pub(super) fn taken(
    keys: &mut Vec<String>,
    page: Result<UpTo<DocumentPage>, ReadModelError>,
    asked: &Page,
) -> Option<String> {
    let page = page.expect("the documents can be asked for").value;
    assert!(
        page.documents.len() <= asked.limit(),
        "a page has {} documents, {} at most were asked for",
        page.documents.len(),
        asked.limit()
    );
    if let Some(next) = &page.next {
        let last = page
            .documents
            .last()
            .expect("a page that is not the last has a document");
        assert_eq!(
            &last.key, next,
            "a list goes on behind the last key of a page"
        );
        assert!(
            asked.start().is_none_or(|start| start < next.as_str()),
            "behind {:?} a page goes back to {next:?}",
            asked.start()
        );
    }
    keys.extend(page.documents.into_iter().map(|document| document.key));
    page.next
}

/// Texts beside which others would be taken for the same, or that an engine may not take as they are.
pub(super) fn texts() -> Vec<String> {
    let texts = [
        "a",
        "A",
        " a",
        "a ",
        "a.b",
        "a/b",
        "a*",
        "a>",
        "*",
        ">",
        ".",
        "..",
        "a..b",
        "$a",
        "=",
        "-",
        "_",
        "a_b",
        "a-b",
        "%61",
        "\\",
        "\\x61",
        "'",
        "\"",
        "a\0",
        "a\0b",
        "\0",
        "\n",
        "a\nb",
        "\t",
        "\u{7f}",
        "\u{e9}",
        "e\u{301}",
        "\u{df}",
        "ss",
        "\u{1f600}",
        "0",
        "00",
        "1",
        "1.0",
        "1e0",
        "true",
        "null",
        "NULL",
        "\u{feff}a",
        "\u{202e}a",
        "İ",
        "i",
        "ı",
    ];
    let mut texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    texts.push("k".repeat(255));
    texts.push(format!("{}l", "k".repeat(254)));
    texts.push("k".repeat(128));
    texts.push("\u{1f600}".repeat(63));
    texts
}
