//! What is printed.

use std::time::Duration;

pub fn head() {
    println!(
        "{:<52} {:>13} {:>13} {:>7}  to reach",
        "", "cim-es", "bare", "ratio"
    );
}

/// Work on a number of things, by how many a second.
pub fn rate(what: &str, count: u64, ours: Duration, bare: Duration, to_reach: &str) {
    let (ours, bare) = (per_second(count, ours), per_second(count, bare));
    println!(
        "{what:<52} {:>11.0}/s {:>11.0}/s {:>6.2}x  {to_reach}",
        ours,
        bare,
        ours / bare
    );
}

/// How long one thing takes.
pub fn time(what: &str, ours: Duration, bare: Option<Duration>, to_reach: &str) {
    let shown = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1_000.0);
    let (beside, ratio) = match bare {
        Some(bare) => {
            let ratio = ours.as_secs_f64() / bare.as_secs_f64();
            (shown(bare), format!("{ratio:.2}x"))
        }
        None => (String::new(), String::new()),
    };
    println!(
        "{what:<52} {:>13} {beside:>13} {ratio:>7}  {to_reach}",
        shown(ours)
    );
}

/// How much memory something takes, which is to be the same for more of it.
pub fn size(what: &str, taken: &str) {
    println!("{what:<52} {taken:>13} {:>13} {:>7}  the same", "", "");
}

/// The time below which a number of hundredths of the times are.
pub fn percentile(times: &mut [Duration], hundredths: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * hundredths / 100).min(times.len() - 1)]
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
