//! The size past which the system lets a process write no file (`ulimit -f`).
//!
//! SQLite reports a write that is refused for that as a failure of the disk, and keeps what the system said to itself; so
//! the files are compared with the limit.

use std::fs;
use std::path::Path;

use super::files::beside;

/// How near the limit a file is when a write was refused for it: what is written at once is no longer than a page.
const AT_ONCE: u64 = 64 * 1024;

/// The limit of this process in bytes, where the file or one of those beside it has come up to it.
pub(super) fn reached(path: &Path) -> Option<u64> {
    let limit = of_this_process()?;
    let paths = [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")];
    let is_reached =
        |path| fs::metadata(path).is_ok_and(|found| found.len().saturating_add(AT_ONCE) > limit);
    paths.iter().any(is_reached).then_some(limit)
}

/// None where there is no limit, or the system does not show it.
fn of_this_process() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    parse(&limits)
}

fn parse(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max file size"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_limit_is_the_soft_one_and_unlimited_is_none() {
        let limits = |size: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax file size  {size}  unlimited  bytes\n"
            )
        };
        assert_eq!(parse(&limits("1024000")), Some(1_024_000));
        assert_eq!(parse(&limits("unlimited")), None);
        assert_eq!(parse(""), None);
    }
}
