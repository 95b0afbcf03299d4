//! A bar for long work, on stderr, where a person sees it, and how such work ends when it is interrupted.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Duration;

use cim_es::bundle::{Canceller, Progress};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::interrupt::Interrupt;

/// A bar of events, which is gone with any of its handles.
#[derive(Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    /// With what is done in front of it.
    pub fn new(what: &'static str) -> Self {
        Self(bar(what))
    }

    /// So many are done, of so many where that is known.
    pub fn show(&self, done: u64, of: Option<u64>) {
        show(&self.0, done, of);
    }

    /// What an export or an import calls with how far it has come.
    pub fn teller(&self) -> impl FnMut(Progress) + Send + 'static {
        let bar = self.0.clone();
        move |progress| show(&bar, progress.events, progress.of_events)
    }

    /// Does something that prints.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Does an export or an import to its end, which comes in an orderly way once somebody interrupts it.
    pub async fn ending<T>(
        self,
        interrupt: &Interrupt,
        canceller: &Canceller,
        work: impl Future<Output = T>,
    ) -> T {
        interrupt.ending(work, || canceller.cancel()).await
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn show(bar: &ProgressBar, done: u64, of: Option<u64>) {
    if let Some(of) = of {
        bar.set_length(of);
    }
    bar.set_position(done);
}

/// With rate and time to go; none where nobody sees it.
fn bar(what: &'static str) -> ProgressBar {
    let bar = hidden_unless_seen(ProgressBar::new(0));
    let form = "{msg} [{bar:30}] {human_pos}/{human_len} events, {rate} a second, {eta} to go";
    if let Ok(style) = ProgressStyle::with_template(form) {
        let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
            // What nobody sees is no failure.
            let _ = write!(text, "{}", HumanCount(state.per_sec() as u64));
        };
        bar.set_style(style.progress_chars("=> ").with_key("rate", rate));
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
