//! Checkpoints, and proofs that need no store.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::support::{Answer, Directory, KEY, about, append, ask, event, file, fill, lines};

const ORIGIN: &str = "example.org/library";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A library, the key that signs, and the key that others trust.
struct Signed {
    directory: Directory,
    file: PathBuf,
    key: PathBuf,
    trust: PathBuf,
}

impl Signed {
    fn new() -> Self {
        let directory = Directory::new();
        let (key, trust) = (directory.file("key.pem"), directory.file("keys.txt"));
        std::fs::write(&key, KEY).expect("a file");
        let public = ask(["checkpoint", "key", "--origin", ORIGIN, "--key", text(&key)]);
        assert_eq!(public.code, 0, "{public:?}");
        std::fs::write(&trust, public.out).expect("a file");
        Self {
            file: file(&directory),
            directory,
            key,
            trust,
        }
    }

    fn make(&self, extra: &[&str]) -> Answer {
        let arguments = [
            "checkpoint",
            "make",
            "--origin",
            ORIGIN,
            "--key",
            text(&self.key),
        ];
        about(&self.file, &[&arguments, extra].concat())
    }

    /// Makes a checkpoint, and keeps it under a name.
    fn keep(&self, name: &str) -> PathBuf {
        let made = self.make(&[]);
        assert_eq!((made.code, made.err.as_str()), (0, ""), "{made:?}");
        self.write(name, &made.out)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.file(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

#[test]
fn a_new_key_is_in_a_file_that_its_owner_alone_may_read_and_is_never_written_over() {
    let directory = Directory::new();
    let key = directory.file("new.pem");
    let make = || {
        ask([
            "checkpoint",
            "new-key",
            "--origin",
            ORIGIN,
            "--key",
            text(&key),
        ])
    };
    let made = make();
    assert_eq!((made.code, made.err.as_str()), (0, ""), "{made:?}");
    let public = ask(["checkpoint", "key", "--origin", ORIGIN, "--key", text(&key)]);
    assert_eq!(public.out, made.out);
    assert!(made.out.starts_with(ORIGIN), "{made:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&key)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = std::fs::read(&key).expect("a file");
    let again = make();
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.err.contains("never written over"), "{again:?}");
    assert_eq!(std::fs::read(&key).expect("a file"), before);
    // Another one is another one.
    std::fs::remove_file(&key).expect("a file");
    assert_ne!(make().out, made.out);
}

#[test]
fn a_checkpoint_is_made_checked_and_compared_with_the_store() {
    let signed = Signed::new();
    let checkpoint = signed.keep("first.checkpoint");
    let trust = text(&signed.trust);
    let checked = ask([
        "--json",
        "checkpoint",
        "check",
        text(&checkpoint),
        "--trust",
        trust,
    ]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let first = lines(&checked).remove(0);
    assert_eq!(
        (&first["origin"], &first["size"]),
        (&json!(ORIGIN), &json!(5))
    );
    let audit = |file: &Path| {
        about(
            file,
            &["checkpoint", "audit", text(&checkpoint), "--trust", trust],
        )
    };
    let audited = audit(&signed.file);
    assert_eq!(audited.code, 0, "{audited:?}");
    assert!(
        audited.out.contains("the first 5 events"),
        "{}",
        audited.out
    );
    // A store that lost an aggregate, and is whole in itself, is found out.
    let other = signed.directory.file("other.db");
    let bundle = signed.directory.file("books.car");
    let arguments = ["export", text(&bundle), "--filter", "library.book.>"];
    assert_eq!(about(&signed.file, &arguments).code, 0);
    assert_eq!(
        about(&other, &["import", "--create", text(&bundle)]).code,
        0
    );
    assert_eq!(about(&other, &["verify"]).code, 0);
    let found = audit(&other);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(
        found.err.contains("was changed after a checkpoint"),
        "{}",
        found.err
    );
}

#[test]
fn an_event_and_a_growth_are_proved_and_checked_without_the_store() {
    let signed = Signed::new();
    let first = signed.keep("first.checkpoint");
    fill(&signed.file, async |store| {
        append(
            store,
            9,
            ("library.book", "4711"),
            vec![event("book.returned", "Emma")],
        )
        .await;
    });
    let second = signed.keep("second.checkpoint");
    let events = lines(&about(
        &signed.file,
        &["--json", "show", "library.book", "4712"],
    ));
    let cid = events[0]["cid"].as_str().expect("a text");
    let proved = about(&signed.file, &["prove", "event", cid]);
    assert_eq!(proved.code, 0, "{proved:?}");
    let proof = signed.write("event.proof", &proved.out);
    let grown = about(&signed.file, &["prove", "growth", text(&first)]);
    assert_eq!(grown.code, 0, "{grown:?}");
    let growth = signed.write("growth.proof", &grown.out);
    std::fs::remove_file(&signed.file).expect("the store");

    let trust = text(&signed.trust);
    let checked = ask([
        "--json",
        "prove",
        "check",
        text(&proof),
        "--event",
        cid,
        "--trust",
        trust,
    ]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert_eq!(lines(&checked)[0]["size"], json!(6));
    let checked = ask([
        "prove",
        "check",
        text(&growth),
        "--old",
        text(&first),
        "--trust",
        trust,
    ]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let other = ask([
        "prove",
        "check",
        text(&growth),
        "--old",
        text(&second),
        "--trust",
        trust,
    ]);
    assert_eq!(other.code, 4, "{other:?}");
    let changed = std::fs::read_to_string(&proof)
        .expect("the proof")
        .replacen("index 1", "index 2", 1);
    let changed = signed.write("changed.proof", &changed);
    let refused = ask([
        "prove",
        "check",
        text(&changed),
        "--event",
        cid,
        "--trust",
        trust,
    ]);
    assert_eq!(refused.code, 4, "{refused:?}");
}

#[test]
fn a_witness_cosigns_what_goes_on_from_what_it_saw() {
    let signed = Signed::new();
    let trust = text(&signed.trust);
    let empty = signed.keep("first.checkpoint");
    let grown = about(&signed.file, &["prove", "growth", text(&empty)]);
    let growth = signed.write("growth.proof", &grown.out);
    let last = signed.directory.file("witness.checkpoint");
    std::fs::copy(&empty, &last).expect("a copy");
    let witness = signed.write("witness.pem", &KEY.replace("AAECAwQF", "AQECAwQF"));
    let arguments = [
        "--name",
        "example.net/witness",
        "--key",
        text(&witness),
        "--trust",
        trust,
        "--last",
        text(&last),
    ];
    let cosigned = ask([&["checkpoint", "cosign", text(&growth)], &arguments[..]].concat());
    assert_eq!(cosigned.code, 0, "{cosigned:?}");
    let cosigned = signed.write("cosigned.checkpoint", &cosigned.out);
    let key = [
        "--origin",
        "example.net/witness",
        "--key",
        text(&witness),
        "--witness",
    ];
    let key = ask([&["checkpoint", "key"], &key[..]].concat());
    let both = std::fs::read_to_string(&signed.trust).expect("the keys") + &key.out;
    let both = signed.write("both.txt", &both);
    let quorum = |trust: &Path| {
        ask([
            "checkpoint",
            "check",
            text(&cosigned),
            "--trust",
            text(trust),
            "--quorum",
            "1",
        ])
    };
    assert_eq!(quorum(&both).code, 0);
    assert_eq!(quorum(&signed.trust).code, 4);
}

#[test]
fn a_witness_begins_with_a_proof_that_begins_with_nothing() {
    let signed = Signed::new();
    let (first, last) = (
        signed.keep("first.checkpoint"),
        signed.directory.file("witness.checkpoint"),
    );
    let witness = signed.write("witness.pem", &KEY.replace("AAECAwQF", "AQECAwQF"));
    let cosign = |growth: &Path| {
        ask([
            "checkpoint",
            "cosign",
            text(growth),
            "--name",
            "example.net/witness",
            "--key",
            text(&witness),
            "--trust",
            text(&signed.trust),
            "--last",
            text(&last),
        ])
    };
    let since = about(&signed.file, &["prove", "growth", text(&first)]);
    let since = signed.write("since.proof", &since.out);
    let refused = cosign(&since);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused
            .err
            .contains("this witness has cosigned nothing yet"),
        "{refused:?}"
    );
    let begun = about(&signed.file, &["prove", "growth"]);
    let begun = signed.write("begun.proof", &begun.out);
    let cosigned = cosign(&begun);
    assert_eq!(cosigned.code, 0, "{cosigned:?}");
    let again = cosign(&begun);
    assert!(
        again
            .err
            .contains(&format!("`cim-es prove growth {}`", text(&last))),
        "{again:?}"
    );
    assert_eq!(cosign(&since).code, 0);
}

#[test]
fn what_cannot_be_read_as_what_it_should_be_is_named_with_its_file() {
    let signed = Signed::new();
    let wrong = signed.write("wrong.txt", "nothing\n");
    let trust = text(&signed.trust);
    let made = signed.keep("made.checkpoint");
    for arguments in [
        &["checkpoint", "check", text(&wrong), "--trust", trust][..],
        &["checkpoint", "check", text(&made), "--trust", text(&wrong)],
        &[
            "checkpoint",
            "key",
            "--origin",
            ORIGIN,
            "--key",
            text(&wrong),
        ],
        &[
            "prove",
            "check",
            text(&wrong),
            "--old",
            text(&wrong),
            "--trust",
            trust,
        ],
    ] {
        let answer = ask(arguments);
        assert!(
            answer.err.contains("wrong.txt"),
            "{arguments:?}: {answer:?}"
        );
    }
    let other = about(
        &signed.file,
        &[
            "checkpoint",
            "make",
            "--origin",
            ORIGIN,
            "--key",
            text(&signed.key),
            "--tiles",
            trust,
        ],
    );
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.err.contains("is not a directory"), "{other:?}");
}

#[test]
fn a_key_that_is_none_is_refused_and_nothing_of_it_is_shown() {
    let signed = Signed::new();
    std::fs::write(&signed.key, "SUAHUNTER2").expect("a file");
    let answer = signed.make(&[]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(
        answer.err.contains("checkpoint new-key") && !answer.err.contains("HUNTER2"),
        "{}",
        answer.err
    );
    let none = about(&signed.file, &["prove", "growth", "/no/such/file"]);
    assert_eq!(none.code, 5, "{none:?}");
    let events = lines(&about(&signed.file, &["--json", "tail", "-n", "1"]));
    let early = about(
        &signed.file,
        &["prove", "event", events[0]["cid"].as_str().expect("a text")],
    );
    assert_eq!(early.code, 2, "{early:?}");
    assert!(
        early.err.contains("cim-es checkpoint make"),
        "{}",
        early.err
    );
}
