//! The programs as a user starts them: with `cargo run`, on the real machine.

use std::path::Path;
use std::process::{Command, Output};

use cim_es_examples::quickstart::host::Host;

fn cargo_run(example: &str, args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--quiet", "--example", example, "--"])
        .args(args)
        .output()
        .expect("cargo starts")
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_quickstart_registers_this_machine_and_then_finds_nothing_new() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = directory.path().join("quickstart.db");
    let args = ["--store", &store.to_string_lossy(), "--json"];
    let report = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&succeeded(cargo_run("quickstart", args))).expect("one JSON document")
    };
    let first = report(&args);
    assert_eq!(first["outcome"], "registered");
    assert_eq!(first["verification"]["verified"], true);
    let host = Host::read().expect("this machine can be read");
    assert_eq!(first["machine"], host.machine.to_string());
    assert_eq!(first["compute"]["hostname"], host.hostname.to_string());
    assert_eq!(report(&args)["outcome"], "unchanged");

    let shown = succeeded(cargo_run(
        "quickstart",
        &[&args[..2], &["--tamper"]].concat(),
    ));
    assert!(shown.contains("The damage was detected."), "{shown}");
    let wrong = cargo_run("quickstart", &["--unknown"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn the_bank_account_gives_the_same_on_both_engines() {
    let shown = succeeded(cargo_run("bank_account", &[]));
    let section = |title: &str| -> Vec<&str> {
        let lines = shown.lines().skip_while(|line| *line != title).skip(1);
        lines.take_while(|line| !line.is_empty()).collect()
    };
    let in_memory = section("In memory:");
    assert_eq!(in_memory.last(), Some(&"  balance 70"));
    assert_eq!(
        in_memory
            .iter()
            .filter(|line| line.contains("refused: "))
            .count(),
        3
    );
    assert_eq!(section("In a file:"), in_memory);
    assert_eq!(
        section("The file, opened again:").last(),
        Some(&"  balance 70")
    );
}

#[test]
fn what_is_read_of_this_machine_is_the_same_a_moment_later() {
    let read = || Host::read().expect("this machine can be read");
    assert_eq!(read(), read());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::io::Read;
    use std::process::Stdio;

    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let (person, organization, infrastructure) = (store("p.db"), store("o.db"), store("i.db"));
    let runs: [&[&str]; 5] = [
        &[
            "person",
            "import",
            "examples/person/people.vcf",
            "--store",
            &person,
        ],
        &["person", "list", "--store", &person],
        &[
            "organization",
            "import",
            "examples/organization/example.csv",
            "--store",
            &organization,
        ],
        &["infrastructure", "--store", &infrastructure],
        &["bank_account"],
    ];
    for run in runs {
        let mut child = Command::new(env!("CARGO"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .args(["run", "--quiet", "--example", run[0], "--"])
            .args(&run[1..])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo starts");
        drop(child.stdout.take());
        let mut said = String::new();
        let errors = child.stderr.as_mut().expect("it is piped");
        errors.read_to_string(&mut said).expect("text");
        let status = child.wait().expect("it ends");
        assert!(
            status.success() && !said.contains("panicked"),
            "{run:?} {status} {said}"
        );
    }
}
