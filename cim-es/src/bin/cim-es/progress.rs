//! A bar for long work, on stderr, where a person sees it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of events, with rate and time to go; none where nobody sees it.
pub fn bar(what: &'static str) -> ProgressBar {
    let bar = hidden_unless_seen(ProgressBar::new(0));
    let form = "{msg} [{bar:30}] {human_pos}/{human_len} events, {per_sec}, {eta} to go";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    bar
}

/// A sign of life for work of which nobody knows how long it takes.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = hidden_unless_seen(ProgressBar::new_spinner());
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn hidden_unless_seen(bar: ProgressBar) -> ProgressBar {
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
