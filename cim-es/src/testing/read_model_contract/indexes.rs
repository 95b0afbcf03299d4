//! Documents by their index entries.

use super::Provider;
use super::sample::*;
use crate::store::read_model::DocumentChange;

/// A document is found by each of its entries: several of one index, and those of several indexes.
pub async fn documents_are_found_by_each_index_entry(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let documents = vec![
        DocumentChange::put("dune", "1")
            .indexed("tag", "sand")
            .indexed("tag", "spice")
            .indexed("tag", "sand")
            .indexed("reader", "ann"),
        DocumentChange::put("emma", "2").indexed("reader", "ann"),
        DocumentChange::put("faust", "3").indexed("tag", "sand"),
        DocumentChange::put("ghosts", "4"),
    ];
    commit(&storage, &view, holder, (0, 1), documents)
        .await
        .expect("it is stored");
    for (field, value, expected) in [
        ("tag", "sand", &["dune", "faust"][..]),
        ("tag", "spice", &["dune"]),
        ("reader", "ann", &["dune", "emma"]),
        ("reader", "sand", &[]),
        ("tag", "ann", &[]),
        ("tag", "san", &[]),
        ("tag", "", &[]),
        ("none", "sand", &[]),
    ] {
        assert_eq!(
            found(&storage, &view, field, value).await,
            expected,
            "{field} = {value:?}"
        );
    }
}

/// A document that is written again has the entries that it has then, and no others; one that is removed has none.
pub async fn index_entries_go_with_their_document(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let put = |values: &[&str]| {
        values.iter().fold(
            DocumentChange::put("dune", values.join(" ")),
            |card, value| card.indexed("tag", (*value).to_owned()),
        )
    };
    let steps = [
        (put(&["a", "b"]), &["a", "b"][..]),
        (put(&["b", "c"]), &["b", "c"]),
        (put(&[]), &[]),
        (put(&["c", "a"]), &["a", "c"]),
        (DocumentChange::delete("dune"), &[]),
        (put(&["d"]), &["d"]),
    ];
    for (number, (card, expected)) in steps.into_iter().enumerate() {
        // Another document with the same entries, which nothing may take from it.
        let other = ["a", "b", "c", "d"].iter().fold(
            DocumentChange::put("other", number.to_string()),
            |card, tag| card.indexed("tag", *tag),
        );
        let place = (number as u64, number as u64 + 1);
        commit(&storage, &view, holder, place, vec![card, other])
            .await
            .expect("it is stored");
        for tag in ["a", "b", "c", "d"] {
            let keys = found(&storage, &view, "tag", tag).await;
            let expected: &[&str] = match expected.contains(&tag) {
                true => &["dune", "other"],
                false => &["other"],
            };
            assert_eq!(keys, expected, "step {number}, tag {tag}");
        }
    }
}

/// Any text of up to 1,024 bytes is the value of an index entry, and texts that look alike are several values.
pub async fn any_text_is_an_index_value_and_no_two_of_them_mix(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let mut values = texts();
    values.push(String::new());
    values.push("v".repeat(1_024));
    values.push(format!("{}w", "v".repeat(1_023)));
    let documents = values.iter().enumerate().map(|(number, value)| {
        DocumentChange::put(format!("{number:03}"), value.clone())
            .indexed("text", value.clone())
            .indexed(
                format!("field {value}")
                    .chars()
                    .take(60)
                    .collect::<String>(),
                "one",
            )
    });
    commit(&storage, &view, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    for (number, value) in values.iter().enumerate() {
        let keys = found(&storage, &view, "text", value).await;
        assert_eq!(keys, [format!("{number:03}")], "{value:?}");
    }
    // Keys of any text are found by an entry, too, in their order.
    let other = id("other", 1);
    let holder = held(&storage, &other).await;
    let mut keys = texts();
    let documents = keys
        .iter()
        .map(|key| DocumentChange::put(key.as_str(), "").indexed("all", "a.b c"));
    commit(&storage, &other, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    keys.sort_unstable();
    assert_eq!(found(&storage, &other, "all", "a.b c").await, keys);
}

/// What is found comes in pages, each behind the last key of the one before, also where that document is gone.
pub async fn a_found_page_goes_on_behind_its_last_key(provider: impl Provider) {
    use crate::store::read_model::{IndexEntry, Page, ReadModelStorage};

    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let numbers = 0..50_u32;
    let documents = numbers.clone().map(|number| {
        DocumentChange::put(format!("{number:02}"), "").indexed("odd", (number % 2).to_string())
    });
    commit(&storage, &view, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    let entry = IndexEntry::new("odd", "1");
    let mut keys = Vec::new();
    let mut page = Page::first(4);
    let mut at_now = 1;
    while let Some(next) = taken(&mut keys, storage.find(&view, &entry, &page).await, &page) {
        let changes = vec![
            DocumentChange::delete(next.as_str()),
            DocumentChange::put(format!("00{at_now}"), "").indexed("odd", "1"),
        ];
        commit(&storage, &view, holder, (at_now, at_now + 1), changes)
            .await
            .expect("it is stored");
        at_now += 1;
        page = page.after(next);
    }
    let odd = numbers.filter(|number| number % 2 == 1);
    let expected: Vec<String> = odd.map(|number| format!("{number:02}")).collect();
    assert_eq!(keys, expected);
}
