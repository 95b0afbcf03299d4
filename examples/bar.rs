//! A bar for a replay.

use std::future::{Future, ready};

use cim_es::replay::ReplayProgressStream;
use futures_util::StreamExt;
use futures_util::future::join;
use indicatif::{ProgressBar, ProgressStyle};

/// Draws how far a replay has come while it goes on; nothing where nobody looks at it.
pub async fn drawn<T>(progress: ReplayProgressStream, replay: impl Future<Output = T>) -> T {
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {human_pos} of {human_len} positions, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    // The stream ends with the replay.
    let drawing = progress.for_each(|progress| {
        let from_start = |position: cim_es::store::Position| position.0 - progress.start.0;
        bar.set_length(from_start(progress.end.max(progress.start)));
        bar.set_position(from_start(progress.reached.max(progress.start)));
        ready(())
    });
    let (outcome, ()) = join(replay, drawing).await;
    bar.finish_and_clear();
    outcome
}
