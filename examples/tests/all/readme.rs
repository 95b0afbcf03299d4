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
