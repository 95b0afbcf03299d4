//! Programs of Node that the tests hold files of ours against.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What `tests/find-node-packages` exits with where there is no Node.
const NO_NODE: i32 = 3;

/// The directory in which Node finds the packages of `tests/node-packages.json`, installed once. None where there is no Node,
/// which is then said on the standard error of the tests, past what captures their output.
///
/// # Panics
/// Where there is no Node and `CIM_ES_REQUIRE_NODE` is set, and where the packages cannot be installed.
pub fn packages(what_is_not_tested: &str) -> Option<&'static PathBuf> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let home = HOME.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/find-node-packages");
        let found = Command::new(script).output().expect("Python 3 runs");
        match found.status.code() {
            Some(0) => {
                let home = String::from_utf8(found.stdout).expect("a path");
                Some(PathBuf::from(home.trim_end()))
            }
            Some(NO_NODE) => None,
            _ => panic!("{}", String::from_utf8_lossy(&found.stderr)),
        }
    });
    if home.is_none() {
        let words =
            format!("NOT TESTED: {what_is_not_tested}: there is no Node with npm on the PATH");
        assert!(std::env::var_os("CIM_ES_REQUIRE_NODE").is_none(), "{words}");
        // What the test harness captures is shown for failed tests alone.
        let _ = writeln!(std::io::stderr().lock(), "{words}");
    }
    home.as_ref()
}

/// Runs a module of JavaScript that finds the packages; gives what it prints, or what went wrong.
///
/// # Panics
/// Where it cannot be run at all.
pub fn run(home: &PathBuf, module: &str, input: &str) -> Result<String, String> {
    let mut node = Command::new("node")
        .args(["--input-type=module", "--eval", module])
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Node runs");
    let mut stdin = node.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // On a thread, so that nobody waits for the other.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = node.wait_with_output().expect("Node ends");
    // A module that fails may not have read all.
    drop(writing.join().expect("the thread ends"));
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("it prints text")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
