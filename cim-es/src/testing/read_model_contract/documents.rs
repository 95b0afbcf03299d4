//! Documents by their keys.

use bytes::Bytes;

use super::Provider;
use super::sample::*;
use crate::store::read_model::{DocumentChange, ReadModelStorage};

/// A document comes back byte by byte, whatever its bytes are.
pub async fn a_document_comes_back_as_it_was_written(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let long: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let values = [
        Bytes::new(),
        Bytes::from_static(b"\0"),
        Bytes::from_static(b"text"),
        Bytes::from_static(b"text\0"),
        Bytes::from_static(&[0xff, 0xfe, 0x00, 0x80]),
        Bytes::from(vec![0; 4_096]),
        Bytes::from(long),
    ];
    let documents = values
        .iter()
        .enumerate()
        .map(|(number, value)| DocumentChange::put(number.to_string(), value.clone()));
    commit(&storage, &view, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    for storage in [storage, provider.open().await] {
        for (number, value) in values.iter().enumerate() {
            let found = get(&storage, &view, &number.to_string()).await;
            assert!(found.as_ref() == Some(value), "document {number}");
        }
        let page = crate::store::read_model::Page::default();
        let listed = storage.list(&view, &page).await.expect("it is read");
        for (document, value) in listed.value.documents.iter().zip(&values) {
            assert!(
                document.value == *value,
                "document {} in the list",
                document.key
            );
        }
    }
}

/// A document is written over, removed, and written again; one that is not there can be removed.
pub async fn the_last_value_of_a_document_stays(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let steps = [
        Some("one"),
        Some("longer than one"),
        Some("3"),
        None,
        None,
        Some("four"),
    ];
    for (number, value) in steps.into_iter().enumerate() {
        let card = match value {
            Some(value) => DocumentChange::put("card", value),
            None => DocumentChange::delete("card"),
        };
        let place = (number as u64, number as u64 + 1);
        commit(&storage, &view, holder, place, vec![card])
            .await
            .expect("it is stored");
        let found = get(&storage, &view, "card").await;
        assert_eq!(found.as_deref(), value.map(str::as_bytes), "step {number}");
        let keys = listed(&storage, &view, 10).await;
        assert_eq!(keys.len(), usize::from(value.is_some()), "step {number}");
    }
}

/// Any text of 1 to 255 bytes is a key, and texts that look alike are keys of several documents.
pub async fn any_text_is_a_key_and_no_two_of_them_mix(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let mut keys = texts();
    let documents = keys
        .iter()
        .map(|key| DocumentChange::put(key.as_str(), key.clone()));
    commit(&storage, &view, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    for key in &keys {
        let found = get(&storage, &view, key).await;
        assert_eq!(found.as_deref(), Some(key.as_bytes()), "{key:?}");
    }
    for key in ["", "b", "aa", "k\0", &"k".repeat(254), &"k".repeat(256)] {
        assert_eq!(get(&storage, &view, key).await, None, "{key:?}");
    }
    keys.sort_unstable();
    assert_eq!(listed(&storage, &view, 7).await, keys);
    // Removed one by one, each takes no other with it.
    let (removed, kept) = keys.split_at(keys.len() / 2);
    let documents = removed
        .iter()
        .map(|key| DocumentChange::delete(key.as_str()));
    commit(&storage, &view, holder, (1, 2), documents.collect())
        .await
        .expect("it is stored");
    assert_eq!(listed(&storage, &view, 7).await, kept);
}

/// Documents that are asked for together come in the order of their keys in the question, each as often as it is asked
/// for, and none in the place of one that is not there.
pub async fn documents_are_read_in_the_order_of_the_keys_that_are_asked_for(
    provider: impl Provider,
) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let documents = ["a", "b", "c"].map(|key| DocumentChange::put(key, key.to_uppercase()));
    commit(&storage, &view, holder, (0, 1), documents.into())
        .await
        .expect("it is stored");
    let read = storage.read(&view, &["c", "none", "a", "c", "", "b"]).await;
    let read = read.expect("it is read").value;
    let texts: Vec<_> = read.iter().map(Option::as_deref).collect();
    let expected = [Some("C"), None, Some("A"), Some("C"), None, Some("B")];
    assert_eq!(texts, expected.map(|text| text.map(str::as_bytes)));
    let none = storage.read(&view, &[]).await.expect("it is read");
    assert_eq!((none.value.len(), none.position.0), (0, 1));
}
