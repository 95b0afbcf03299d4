//! Taking events out of a store and into another.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::support::{Answer, Directory, about, append, ask, event, file, fill, lines, program};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn what_is_exported_is_imported_block_by_block() {
    let directory = Directory::new();
    let file = file(&directory);
    for name in ["library.car", "library.jsonl"] {
        let (bundle, copy) = (directory.file(name), directory.file(&format!("{name}.db")));
        let form: &[&str] = if name.ends_with("jsonl") {
            &["--json-lines"]
        } else {
            &[]
        };
        let exported = about(
            &file,
            &[&["--json", "export", text(&bundle)], form].concat(),
        );
        assert_eq!(exported.code, 0, "{exported:?}");
        assert_eq!(lines(&exported)[0]["events"], json!(5));
        let missing = about(&copy, &["import", text(&bundle)]);
        assert_eq!(missing.code, 3, "{missing:?}");
        assert!(!copy.exists(), "a store was made that nobody asked for");
        let imported = about(&copy, &["--json", "import", text(&bundle), "--create"]);
        assert_eq!(imported.code, 0, "{imported:?}");
        let report =
            json!({ "events": 5, "stored": 5, "there": 0, "complete": true, "left_out": [] });
        assert_eq!(lines(&imported), [report]);
        let again = about(&copy, &["import", text(&bundle)]);
        assert_eq!(
            again.out, "0 events were stored, 5 were there already\n",
            "{again:?}"
        );
        let shown = |store: &Path| about(store, &["--json", "tail", "-n", "100"]).out;
        let cids = |answer: Answer| {
            lines(&answer)
                .iter()
                .map(|it| it["cid"].to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&copy).lines().count(), 5);
        assert_eq!(
            cids(about(&copy, &["--json", "show", "library.book", "4711"])),
            cids(about(&file, &["--json", "show", "library.book", "4711"]))
        );
    }
}

#[test]
fn a_file_that_is_there_is_written_over_only_when_that_is_asked_for() {
    let directory = Directory::new();
    let file = file(&directory);
    let bundle = directory.file("library.car");
    fs::write(&bundle, "mine").expect("a file");
    let refused = about(&file, &["export", text(&bundle)]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(fs::read(&bundle).expect("the file"), b"mine");
    assert_eq!(about(&file, &["export", text(&bundle), "--force"]).code, 0);
    assert_ne!(fs::read(&bundle).expect("the file"), b"mine");
}

#[test]
fn a_part_is_exported_by_aggregate_by_subject_and_since_a_bundle() {
    let directory = Directory::new();
    let file = file(&directory);
    let (all, part) = (directory.file("all.car"), directory.file("part.car"));
    let events = |arguments: &[&str]| {
        let answer = about(
            &file,
            &[&["--json", "export", text(&part), "--force"], arguments].concat(),
        );
        assert_eq!(answer.code, 0, "{answer:?}");
        lines(&answer)[0]["events"].as_u64().expect("a number")
    };
    assert_eq!(events(&["--aggregate", "library.book/4711"]), 3);
    assert_eq!(
        events(&[
            "--aggregate",
            "library.book/4712",
            "--aggregate",
            "library.reader/ann"
        ]),
        2
    );
    assert_eq!(events(&["--filter", "library.reader.>"]), 1);
    assert_eq!(about(&file, &["export", text(&all)]).code, 0);
    let nothing = about(
        &file,
        &["export", text(&part), "--force", "--since", text(&all)],
    );
    assert_eq!(nothing.code, 2, "{nothing:?}");
    fill(&file, async |store| {
        append(
            store,
            9,
            ("library.book", "4711"),
            vec![event("book.returned", "Emma")],
        )
        .await;
    });
    assert_eq!(events(&["--since", text(&all)]), 1);
    assert_eq!(events(&["--after", "5"]), 1);
    // It goes on from what the other file has.
    let copy = directory.file("copy.db");
    let early = about(&copy, &["import", "--create", text(&part)]);
    assert_eq!(early.code, 4, "{early:?}");
    assert!(
        early.err.contains("library.book 4711 at version 3"),
        "{}",
        early.err
    );
    let checked = ask(["--json", "import", "--check", text(&part)]);
    assert_eq!(lines(&checked)[0]["prerequisites"][0]["version"], json!(3));
    let unknown = about(
        &file,
        &[
            "export",
            text(&part),
            "--force",
            "--aggregate",
            "library.bok/4711",
        ],
    );
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("library.book"), "{}", unknown.err);
}

#[test]
fn a_damaged_file_is_refused_with_its_place_and_nothing_is_made() {
    let directory = Directory::new();
    let file = file(&directory);
    let bundle = directory.file("library.car");
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    let mut bytes = fs::read(&bundle).expect("the bundle");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&bundle, bytes).expect("the bundle");
    for answer in [
        ask(["import", "--check", text(&bundle)]),
        about(&file, &["import", text(&bundle)]),
    ] {
        assert_eq!(answer.code, 4, "{answer:?}");
        assert!(answer.err.contains("at byte"), "{}", answer.err);
    }
    let none = ask(["import", "--check", "/no/such/file"]);
    assert_eq!(none.code, 5, "{none:?}");
}

#[test]
fn a_store_that_went_another_way_imports_the_others_when_told() {
    let directory = Directory::new();
    let (one, other) = (directory.file("one.db"), directory.file("other.db"));
    let filled = |path: &Path, title: &'static str| {
        fill(path, async |store| {
            append(
                store,
                1,
                ("library.book", "4711"),
                vec![event("book.acquired", title)],
            )
            .await;
        });
    };
    filled(&one, "Emma");
    filled(&other, "Ulysses");
    fill(&one, async |store| {
        append(
            store,
            2,
            ("library.book", "4712"),
            vec![event("book.acquired", "Persuasion")],
        )
        .await;
    });
    let bundle = directory.file("one.car");
    assert_eq!(about(&one, &["export", text(&bundle)]).code, 0);
    let refused = about(&other, &["import", text(&bundle)]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.err.contains("library.book 4711") && refused.err.contains("--others"),
        "{}",
        refused.err
    );
    let others = about(&other, &["--json", "import", text(&bundle), "--others"]);
    assert_eq!(others.code, 1, "{others:?}");
    let report = &lines(&others)[0];
    assert_eq!(report["stored"], json!(1));
    assert_eq!(report["left_out"][0]["id"], json!("4711"));
}

#[test]
fn an_export_goes_into_a_pipe() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer: Answer = about(&file, &["export", "-", "--json-lines"]);
    assert_eq!(
        (answer.code, answer.out.lines().count()),
        (0, 5),
        "{answer:?}"
    );
    let bundle = program()
        .arg("-s")
        .arg(&file)
        .args(["export", "-"])
        .output();
    let path = directory.file("piped.car");
    fs::write(&path, bundle.expect("it runs").stdout).expect("a file");
    assert_eq!(ask(["import", "--check", text(&path)]).code, 0);
}

#[cfg(unix)]
#[test]
fn an_import_that_is_interrupted_ends_at_a_commit_and_goes_on() {
    let directory = Directory::new();
    let (file, copy) = (directory.file("long.db"), directory.file("copy.db"));
    fill(&file, async |store| {
        for number in 0..300 {
            let events = (0..10).map(|_| event("book.lent", "Emma")).collect();
            append(store, 1 + number, ("library.book", "4711"), events).await;
        }
    });
    let bundle = directory.file("long.car");
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    for attempt in 0.. {
        let started = program()
            .arg("-s")
            .arg(&copy)
            .args(["import", "--create", text(&bundle)])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        let mut child = started.expect("it starts");
        // Each time later, until it comes to its end.
        std::thread::sleep(std::time::Duration::from_millis(attempt * 20));
        let id = child.id().to_string();
        let _ = std::process::Command::new("kill")
            .args(["-INT", &id])
            .status();
        let status = child.wait().expect("it ends");
        if copy.exists() {
            let verified = about(&copy, &["verify"]);
            assert_eq!(verified.code, 0, "{verified:?}");
            let events = lines(&about(&copy, &["--json", "tail", "-n", "1"]));
            let last = events
                .first()
                .expect("a store stays where something was stored");
            assert_eq!(last["commit"], json!([10, 10]));
        }
        if status.code() == Some(0) {
            break;
        }
    }
    assert_eq!(
        lines(&about(&copy, &["--json", "tail", "-n", "1"]))[0]["version"],
        json!(3_000)
    );
}

#[test]
fn a_bundle_is_signed_and_asked_for_its_signature() {
    let directory = Directory::new();
    let file = file(&directory);
    let (key, trust, bundle) = (
        directory.file("key.pem"),
        directory.file("keys.txt"),
        directory.file("library.car"),
    );
    let name = "example.org/library";
    fs::write(&key, super::support::KEY).expect("a file");
    let public = ask(["checkpoint", "key", "--origin", name, "--key", text(&key)]);
    fs::write(&trust, public.out).expect("a file");
    let copy = directory.file("copy.db");
    let import = || {
        about(
            &copy,
            &["import", "--create", text(&bundle), "--trust", text(&trust)],
        )
    };
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    let unsigned = import();
    assert_eq!(unsigned.code, 4, "{unsigned:?}");
    assert!(
        unsigned.err.contains("it is not signed"),
        "{}",
        unsigned.err
    );
    let arguments = ["export", text(&bundle), "--force", "--sign-as", name];
    let keyless = about(&file, &arguments);
    assert_eq!(keyless.code, 2, "{keyless:?}");
    let signed = about(&file, &[&arguments[..], &["--key", text(&key)]].concat());
    assert_eq!(signed.code, 0, "{signed:?}");
    let checked = ask([
        "--json",
        "import",
        "--check",
        text(&bundle),
        "--trust",
        text(&trust),
    ]);
    assert_eq!(lines(&checked)[0]["signed_by"], json!(name));
    assert_eq!(import().code, 0);
}

#[test]
fn a_bundle_is_encrypted_to_recipients_and_imported_with_an_identity() {
    let directory = Directory::new();
    let (file, copy) = (file(&directory), directory.file("copy.db"));
    let [ann, ben, eve] = ["ann", "ben", "eve"].map(|it| directory.file(it));
    let [of_ann, of_ben, _] = [&ann, &ben, &eve].map(|it| {
        let made = ask(["identity", "new", text(it)]);
        assert_eq!(made.code, 0, "{made:?}");
        assert_eq!(ask(["identity", "recipient", text(it)]).out, made.out);
        made.out.trim().to_owned()
    });
    let recipients = directory.file("recipients.txt");
    fs::write(&recipients, format!("# the archive\n\n{of_ben}\n")).expect("a file");
    let bundle = directory.file("library.car.age");
    let to_both = [
        "--recipient",
        &of_ann,
        "--recipients-file",
        text(&recipients),
    ];
    let exported = about(&file, &[&["export", text(&bundle)], &to_both[..]].concat());
    assert_eq!(exported.code, 0, "{exported:?}");
    let import = |more: &[&str]| about(&copy, &[&["import", text(&bundle)], more].concat());

    let without = import(&["--create"]);
    assert_eq!(without.code, 4, "{without:?}");
    assert!(
        without.err.contains("it is encrypted (age)") && without.err.contains("--identity FILE"),
        "{without:?}"
    );
    let by_eve = import(&["--create", "--identity", text(&eve)]);
    assert_eq!(by_eve.code, 4, "{by_eve:?}");
    assert!(
        by_eve.err.contains("2 of the kind X25519")
            && by_eve.err.contains("cim-es identity recipient"),
        "{by_eve:?}"
    );
    let checked = ask(["import", "--check", text(&bundle), "--identity", text(&ben)]);
    assert!(
        checked
            .out
            .starts_with("5 events of 3 aggregates, all proved\n"),
        "{checked:?}"
    );
    let imported = import(&["--create", "--identity", text(&ann)]);
    assert_eq!(
        imported.out, "5 events were stored, 0 were there already\n",
        "{imported:?}"
    );

    // JSON Lines are told apart by what is inside, and what is new since an encrypted bundle is found.
    let jsonl = directory.file("library.jsonl.age");
    let form = ["export", text(&jsonl), "--json-lines"];
    assert_eq!(about(&file, &[&form[..], &to_both[..]].concat()).code, 0);
    let again = about(&copy, &["import", text(&jsonl), "--identity", text(&ben)]);
    assert_eq!(
        again.out, "0 events were stored, 5 were there already\n",
        "{again:?}"
    );
    let part = directory.file("part.car");
    let since = ["export", text(&part), "--since", text(&bundle)];
    assert_eq!(about(&file, &since).code, 4);
    let nothing = about(&file, &[&since[..], &["--identity", text(&ann)]].concat());
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(nothing.err.contains("nothing to export"), "{nothing:?}");

    let mut bytes = fs::read(&bundle).expect("the bundle");
    bytes.pop();
    fs::write(&bundle, bytes).expect("the bundle");
    let cut = import(&["--identity", text(&ann)]);
    assert_eq!(cut.code, 4, "{cut:?}");
    assert!(
        cut.err.contains("a part of it was changed or cut"),
        "{cut:?}"
    );
}

#[test]
fn an_identity_is_in_a_file_that_its_owner_alone_may_read_and_is_never_shown() {
    let directory = Directory::new();
    let ann = directory.file("ann.identity");
    let made = ask(["--json", "identity", "new", text(&ann)]);
    assert_eq!(made.code, 0, "{made:?}");
    let recipient = lines(&made)[0]["recipient"].clone();
    assert!(
        recipient.as_str().is_some_and(|it| it.starts_with("age1")),
        "{made:?}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(&ann).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    let before = fs::read_to_string(&ann).expect("a file");
    let again = ask(["identity", "new", text(&ann)]);
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.err.contains("never written over"), "{again:?}");
    assert_eq!(fs::read_to_string(&ann).expect("a file"), before);

    // Who gives the secret for the recipient is told so, and reads nothing of it.
    let secret = before.lines().last().expect("a key");
    let file = file(&directory);
    let bundle = directory.file("library.car.age");
    let wrong = about(&file, &["export", text(&bundle), "--recipient", secret]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("it is an identity"), "{wrong:?}");
    assert!(!wrong.err.contains(&secret[20..30]), "{wrong:?}");
    let broken = directory.file("broken.txt");
    fs::write(&broken, "age1\n").expect("a file");
    let wrong = about(
        &file,
        &["export", text(&bundle), "--recipients-file", text(&broken)],
    );
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("line 1 of"), "{wrong:?}");
    assert!(!bundle.exists());
}
