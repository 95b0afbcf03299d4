//! All documents, page by page.

use super::Provider;
use super::sample::*;
use crate::store::read_model::{DocumentChange, Page, ReadModelStorage};

/// A list is in the order of its keys, byte by byte, and has each document once, at every number of documents and every
/// length of a page.
pub async fn a_list_is_in_the_order_of_its_keys(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let mut keys: Vec<String> = Vec::new();
    // None of these orders is that of the bytes: of numbers, of a language, without case.
    let new = [
        "10",
        "9",
        "B",
        "a",
        "b",
        "\u{e9}",
        "f",
        "_",
        "-",
        "Z",
        "z",
        "\u{ffff}",
        "\u{1f600}",
    ];
    for (number, key) in new.into_iter().enumerate() {
        let place = (number as u64, number as u64 + 1);
        commit(
            &storage,
            &view,
            holder,
            place,
            vec![DocumentChange::put(key, "")],
        )
        .await
        .expect("it is stored");
        keys.push(key.to_owned());
        keys.sort_unstable();
        for limit in [1, 2, 3, keys.len(), keys.len() + 1] {
            let listed = listed(&storage, &view, limit).await;
            assert_eq!(listed, keys, "pages of {limit}");
        }
        let page = Page::first(keys.len());
        let exact = storage.list(&view, &page).await.expect("it is read").value;
        assert_eq!(
            exact.next,
            None,
            "a list of {} ends with its last page",
            keys.len()
        );
    }
}

/// A document that is there all the while comes exactly once, whatever is written between two pages.
pub async fn a_list_stays_right_while_others_write(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let stays: Vec<String> = (0..60)
        .map(|number| format!("{:03}", number * 10))
        .collect();
    let documents = stays
        .iter()
        .map(|key| DocumentChange::put(key.as_str(), ""));
    commit(&storage, &view, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    let mut keys: Vec<String> = Vec::new();
    let mut page = Page::first(7);
    let mut at_now = 1;
    while let Some(next) = taken(&mut keys, storage.list(&view, &page).await, &page) {
        // One before the next page, one within it, and one that was there is written over.
        let number: u32 = next[..3].parse().expect("a number");
        let changes = vec![
            DocumentChange::put(format!("{:03}-new", number.saturating_sub(15)), ""),
            DocumentChange::put(format!("{:03}-new", number + 15), ""),
            DocumentChange::put(stays[0].as_str(), at_now.to_string()),
        ];
        commit(&storage, &view, holder, (at_now, at_now + 1), changes)
            .await
            .expect("it is stored");
        at_now += 1;
        page = page.after(next);
    }
    assert!(
        keys.is_sorted_by(|one, next| one < next),
        "each once and in order: {keys:?}"
    );
    keys.retain(|key| !key.ends_with("-new"));
    assert_eq!(keys, stays);
}
