//! What the README says about the examples is what the examples are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(here(path)).expect("a file of this repository")
}

fn count_lines(args: &[&str]) -> Output {
    Command::new("python3")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("count-lines")
        .args(args)
        .output()
        .expect("python3 starts")
}

fn lines_of(path: &str) -> usize {
    let output = count_lines(&[path]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace()
        .next()
        .and_then(|count| count.parse().ok())
        .expect("a number")
}

#[test]
fn the_readme_shows_the_domain_of_the_quickstart_as_it_is() {
    let domain = read("quickstart/domain.rs");
    assert!(
        read("../README.md").contains(&format!("```rust,ignore\n{domain}```\n")),
        "copy examples/quickstart/domain.rs into the README"
    );
}

#[test]
fn the_readme_shows_what_the_first_run_prints() {
    let printed = crate::support::Machine::new().run(&[]).out;
    let table: Vec<_> = printed
        .lines()
        .skip_while(|line| !line.starts_with('┌'))
        .take(3)
        .collect();
    let readme = read("../README.md");
    assert!(readme.contains(&table.join("\n")), "{printed}");
    for start in ["Registered this machine", "State: ", "Verified: "] {
        let line = printed.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no line `{start}` in {printed}"));
        assert!(readme.lines().any(|shown| shown == line), "{line}");
    }
}

/// The block of code in which a text stands.
fn block_with<'a>(readme: &'a str, text: &str) -> &'a str {
    let at = readme.find(text).unwrap_or_else(|| panic!("no `{text}`"));
    let start = readme[..at].rfind("\n```").expect("a block begins") + 1;
    let start = start + readme[start..].find('\n').expect("a line ends") + 1;
    let end = readme[start..].find("\n```").expect("a block ends");
    &readme[start..start + end]
}

/// A crate of a reader beside a checkout, with the files as the README shows them.
fn check_as_a_reader(manifest: &str, main: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let member = directory.path().join("bank");
    fs::create_dir_all(member.join("src")).expect("a directory");
    std::os::unix::fs::symlink(here(".."), directory.path().join("cim-es")).expect("a link");
    let package = "[package]\nname = \"bank\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
    for (file, text) in [
        ("Cargo.toml", format!("{package}{manifest}\n")),
        ("src/main.rs", main.to_owned()),
        ("src/bank_account.rs", read("bank_account/domain.rs")),
        // The versions that are here, so that nothing has to be fetched.
        ("Cargo.lock", read("../Cargo.lock")),
    ] {
        fs::write(member.join(file), text).expect("a file");
    }
    let output = Command::new(env!("CARGO"))
        .current_dir(&member)
        .args(["check", "--quiet", "--offline"])
        // What is built here already is not built again.
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(".."),
        )
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .output()
        .expect("cargo starts");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
}

#[test]
fn the_programs_in_the_readme_compile_with_the_manifest_above_them() {
    let readme = read("../README.md");
    let manifest = block_with(&readme, "[dev-dependencies]");
    check_as_a_reader(manifest, block_with(&readme, "SqliteEventStore::open"));
    let with_servers = manifest
        .replacen("cim-es\" }", "cim-es\", features = [\"jetstream\"] }", 1)
        .replace("\"rt\"", "\"rt-multi-thread\", \"signal\"");
    assert!(with_servers.contains("jetstream") && with_servers.contains("signal"));
    check_as_a_reader(
        &with_servers,
        block_with(&readme, "EventSubscriberBuilder::new"),
    );
}

#[test]
fn the_readme_says_how_many_lines_the_domains_are() {
    let readme = read("../README.md");
    for (path, name) in [
        ("quickstart/domain.rs", "`examples/quickstart/domain.rs`"),
        ("quickstart/values.rs", "`examples/quickstart/values.rs`"),
        (
            "bank_account/domain.rs",
            "`examples/bank_account/domain.rs`",
        ),
        (
            "infrastructure/compute.rs",
            "`examples/infrastructure/compute.rs`",
        ),
    ] {
        let sentence = format!("{name}, {} lines", lines_of(path));
        assert!(
            readme.contains(&sentence),
            "the README does not say: {sentence}"
        );
    }
}

#[test]
fn the_bank_account_takes_at_most_51_lines() {
    let output = count_lines(&["--max", "51", "bank_account/domain.rs"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn lines_are_counted_after_formatting_without_what_is_no_code() {
    let source = r####"//! Documentation.
#![allow(dead_code)]
use std::{fmt,
    io};

/* a comment
   /* in a comment */ over lines */
pub(crate) use fmt::Debug;
/// Documentation.
fn f<'a>(x: &'a str) -> char { // after code
    use std::io::Write;
    let a = "// no comment \" { "; let b = r#"two
    lines " use x;"#;
    let c = '"'; let d = '\'';
    '{'
}
#[cfg(test)]
#[allow(unused)]
mod tests {
    #[test] fn t() { assert!(true); }
}
struct After;
"####;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("sample.rs");
    fs::write(&file, source).expect("a file");
    // The attribute, the function's two lines and its six inside (one text takes two), and the struct.
    assert_eq!(lines_of(&file.to_string_lossy()), 10);
    let too_many = count_lines(&["--max", "9", &file.to_string_lossy()]);
    assert_eq!(too_many.status.code(), Some(1), "{too_many:?}");
    fs::write(&file, "fn {").expect("a file");
    assert_eq!(
        count_lines(&[&file.to_string_lossy()]).status.code(),
        Some(2)
    );
}
