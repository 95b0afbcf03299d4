//! A child process: the program of tests itself, running one of its tests.

use std::io::{BufRead, BufReader, Lines, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Numbers;

/// Names the file for the child; a test that is meant for a child does nothing without it.
const FILE: &str = "CIM_ES_TEST_CHILD_FILE";
/// Tells several children apart.
const NUMBER: &str = "CIM_ES_TEST_CHILD_NUMBER";
/// What a line for the parent starts with; the test harness prints lines of its own.
const MARK: &str = "=> ";

/// The file that a child was started for; none in the parent.
pub fn file() -> Option<std::path::PathBuf> {
    std::env::var_os(FILE).map(Into::into)
}

/// The number of this child.
pub fn number() -> u64 {
    std::env::var(NUMBER)
        .ok()
        .and_then(|number| number.parse().ok())
        .expect("the parent gave a number")
}

/// Tells the parent something; when this returns, the pipe holds it, whatever happens to this process.
pub fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{MARK}{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent listens");
}

/// The most memory that was resident in this process at once, in KiB.
#[cfg(target_os = "linux")]
pub fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let size = line.and_then(|size| size.trim().strip_suffix(" kB"));
    let size = size.and_then(|size| size.trim().parse().ok());
    size.expect("a size")
}

/// The memory that a child tells as the only thing, in KiB: it runs one test, see [`start`].
#[cfg(target_os = "linux")]
pub fn told_memory(module: &str, test: &str, file: &Path, number: u64) -> u64 {
    let mut child = start(module, test, file, number);
    let mut lines = Told::by(&mut child);
    let told = lines.next().expect("it tells");
    assert_eq!(lines.count(), 0, "it tells one thing");
    assert!(child.wait().expect("it ends").success());
    told.parse().expect("a number")
}

/// Starts a child that runs one test of a module of this program; `module_path!()` names the module.
pub fn start(module: &str, test: &str, file: &Path, number: u64) -> Child {
    let (_, module) = module.split_once("::").expect("a module of this program");
    let program = std::env::current_exe().expect("the test knows its program");
    Command::new(program)
        .args([
            "--exact",
            &format!("{module}::{test}"),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, file)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts")
}

/// Starts one child after the other and kills each at a random moment of its life, in milliseconds; does something after
/// each.
pub fn kill_each(
    (module, test): (&str, &str),
    file: &Path,
    kills: u64,
    life: Range<u64>,
    mut after: impl FnMut(),
) {
    let mut numbers = Numbers::new(std::process::id().into());
    for round in 0..kills {
        let mut child = start(module, test, file, round);
        let lived = life.start + numbers.below(life.end - life.start);
        std::thread::sleep(Duration::from_millis(lived));
        child.kill().expect("the child can be killed");
        child.wait().expect("the child ends");
        after();
    }
}

/// Starts a child that may write no file of more than one or two megabytes, as the shell counts them, and that is told
/// so by an error in place of a signal.
pub fn start_limited(module: &str, test: &str, file: &Path) -> Child {
    let (_, module) = module.split_once("::").expect("a module of this program");
    let program = std::env::current_exe().expect("the test knows its program");
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""])
        .arg(program)
        .args([
            "--exact",
            &format!("{module}::{test}"),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, file)
        .env(NUMBER, "0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts")
}

/// What a child tells, line by line, to the last line that is whole.
pub struct Told(Lines<BufReader<ChildStdout>>);

impl Told {
    pub fn by(child: &mut Child) -> Self {
        let out = child.stdout.take().expect("the child's output is piped");
        Self(BufReader::new(out).lines())
    }
}

impl Iterator for Told {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let line = self.0.next()?.ok()?;
            if let Some(told) = line.strip_prefix(MARK) {
                return Some(told.to_owned());
            }
        }
    }
}
