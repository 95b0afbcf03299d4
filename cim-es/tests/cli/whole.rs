//! Checking a whole store.

use serde_json::json;

use super::support::{Directory, about, append, damage, event, file, fill, lines};

#[test]
fn a_whole_store_is_verified_with_what_it_has() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer = about(&file, &["verify"]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{answer:?}");
    assert!(
        answer.out.starts_with("5 events of 3 aggregates"),
        "{}",
        answer.out
    );
    assert!(
        answer.out.ends_with("as they were written\n"),
        "{}",
        answer.out
    );
}

#[test]
fn every_damage_is_told_with_its_place_and_ends_with_status_1() {
    let directory = Directory::new();
    let file = file(&directory);
    damage(&file, "Ulysses", "ulysses");
    damage(&file, "Ann", "ann");
    let answer = about(&file, &["--json", "verify"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let told = lines(&answer);
    let positions: Vec<_> = told
        .iter()
        .filter_map(|it| it["damage"]["position"].as_u64())
        .collect();
    assert!(
        positions.contains(&2) && positions.contains(&3),
        "{positions:?}"
    );
    let report = &told.last().expect("a report")["report"];
    assert_eq!(
        (&report["events"], &report["complete"]),
        (&json!(5), &json!(true))
    );
    assert_eq!(report["damages"], json!(told.len() - 1));
}

#[test]
fn a_verification_goes_on_where_it_was_kept() {
    let directory = Directory::new();
    let file = file(&directory);
    let state = directory.file("state");
    let arguments = [
        "--json",
        "verify",
        "--state",
        state.to_str().expect("UTF-8"),
    ];
    assert_eq!(about(&file, &arguments).code, 0);
    assert!(state.exists());
    fill(&file, async |store| {
        append(
            store,
            9,
            ("library.book", "4711"),
            vec![event("book.returned", "Emma")],
        )
        .await;
    });
    let again = about(&file, &arguments);
    assert_eq!(again.code, 0, "{again:?}");
    std::fs::write(&state, "nonsense").expect("a file");
    let wrong = about(&file, &arguments);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("delete it to begin from the start"),
        "{}",
        wrong.err
    );
}
