//! The story: at the base, in the valley, and at the base again.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use cim_es::aggregate::IdTextError;
use cim_es::hybrid::{Branch, Divergence, HybridError, HybridEventStore, HybridOptions};
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::StoreError;
use cim_es::{ErrorChain, Repository, SqliteEventStore};
use tokio::time::{Instant, sleep};

use super::Road;
use super::inventory::{Item, ItemCommand, ItemCommand::*, Label};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the story ended early.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// A file, or the server.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The way between them.
    #[error(transparent)]
    Hybrid(#[from] HybridError),
    /// A command was refused that should not be.
    #[error(transparent)]
    Refused(#[from] ExecuteError<std::convert::Infallible>),
    /// A thing does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A label is none.
    #[error(transparent)]
    Label(#[from] IdTextError),
    /// The server did not get level in time.
    #[error("{0} was waited for in vain: look whether the server answers")]
    Late(&'static str),
    /// The story cannot be written.
    #[error(transparent)]
    Text(#[from] std::fmt::Error),
}

/// Somebody with a file.
struct Person {
    name: &'static str,
    store: HybridEventStore,
    items: Repository<Item>,
}

impl Person {
    /// Starts the program of a person, on the file that it had before.
    async fn start(name: &'static str, folder: &Path, road: Road) -> Result<Self, StoryError> {
        let file = SqliteEventStore::open(folder.join(format!("{name}.db")))?;
        let options =
            HybridOptions::new().pauses(Duration::from_millis(50), Duration::from_millis(500));
        let store = options.open(file, road).await?;
        Ok(Self {
            name,
            items: Repository::new(store.clone()),
            store,
        })
    }

    async fn note(&self, label: &str, command: ItemCommand) -> Result<(), StoryError> {
        let identity = MessageIdentity::new_from_user(self.name);
        self.items
            .execute(&Label::new(label)?, command, &identity)
            .await?;
        Ok(())
    }

    /// Waits until as many events are queued, and the program is connected.
    async fn wait_for_queue(&self, events: u64) -> Result<(), StoryError> {
        let end = Instant::now() + PATIENCE;
        loop {
            if self.store.is_connected() && self.store.queue_size().await? == events {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(StoryError::Late("the queue"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the file has a thing with a count.
    async fn wait_for(&self, label: &str, count: u32) -> Result<(), StoryError> {
        let (label, end) = (Label::new(label)?, Instant::now() + PATIENCE);
        while self.items.load(&label).await?.count != count {
            if Instant::now() > end {
                return Err(StoryError::Late("what others noted"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Says how the file and the server stand to each other, once it was tried to connect.
    async fn say(&self, text: &mut String) -> Result<(), StoryError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.store.status().await?;
            if status.is_connected || status.failure.is_some() {
                writeln!(text, "  {}: {status}", self.name)?;
                return Ok(());
            }
            if Instant::now() > end {
                return Err(StoryError::Late("a first attempt to connect"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The counts of some things in the file.
    async fn list(&self, labels: &[&str], text: &mut String) -> Result<(), StoryError> {
        write!(text, "  {:>4}:", self.name)?;
        for label in labels {
            let item = self.items.load(&Label::new(label)?).await?;
            write!(text, " {label} {}", item.count)?;
        }
        writeln!(text)?;
        Ok(())
    }
}

/// Tells what happens to two files in a folder and a server, which has no notes yet.
///
/// # Errors
/// [`StoryError`].
pub async fn tell(folder: &Path, road: Road, text: &mut String) -> Result<(), StoryError> {
    writeln!(text, "At the base, Ann notes what there is:")?;
    let ann = Person::start("ann", folder, road.clone()).await?;
    let ben = Person::start("ben", folder, road.clone()).await?;
    for (label, count) in [("lamp", 4), ("rope", 2), ("tent", 1)] {
        ann.note(label, Record { count }).await?;
    }
    ann.wait_for_queue(0).await?;
    ben.wait_for("tent", 1).await?;
    ben.wait_for_queue(0).await?;
    ann.list(&["lamp", "rope", "tent"], text).await?;
    ben.list(&["lamp", "rope", "tent"], text).await?;
    ann.store.close().await;
    ben.store.close().await;

    writeln!(
        text,
        "\nIn the valley there is no network, and both start their programs:"
    )?;
    let valley = road.from_the_valley();
    let ann = Person::start("ann", folder, valley.clone()).await?;
    let ben = Person::start("ben", folder, valley).await?;
    ann.note("stove", Record { count: 1 }).await?;
    ann.note("rope", Recount { count: 3 }).await?;
    ann.note("lamp", Recount { count: 3 }).await?;
    ben.note("map", Record { count: 2 }).await?;
    ben.note("lamp", Recount { count: 5 }).await?;
    ann.say(text).await?;
    ben.say(text).await?;
    ann.store.close().await;
    ben.store.close().await;

    writeln!(text, "\nAt the base again, Ann first:")?;
    let ann = Person::start("ann", folder, road.clone()).await?;
    let queued = ann.store.load_queue().await?;
    ann.wait_for_queue(0).await?;
    writeln!(text, "  ann: {queued} events went to the server")?;
    let ben = Person::start("ben", folder, road).await?;
    ben.wait_for_queue(1).await?;
    ann.wait_for("map", 2).await?;
    ben.wait_for("stove", 1).await?;
    ben.wait_for("rope", 3).await?;
    let labels = ["lamp", "map", "rope", "stove", "tent"];
    ann.list(&labels, text).await?;
    ben.list(&labels, text).await?;

    writeln!(text, "\nBoth have counted the lamps:")?;
    for divergence in ben.store.divergences().await? {
        tell_of(&divergence, text)?;
    }
    let identity = MessageIdentity::new_from_user("ben");
    let lamp = Label::new("lamp")?;
    if let Err(error) = ben
        .items
        .execute(&lamp, Recount { count: 6 }, &identity)
        .await
    {
        writeln!(text, "  a further command of ben: {}", ErrorChain(&error))?;
    }
    ben.note("rope", Recount { count: 2 }).await?;
    ann.wait_for("rope", 2).await?;
    writeln!(text, "  everything else goes on: both have 2 ropes now")?;
    ann.store.close().await;
    ben.store.close().await;
    Ok(())
}

fn tell_of(divergence: &Divergence, text: &mut String) -> std::fmt::Result {
    let version = divergence.common.map_or(0, |common| common.version);
    writeln!(
        text,
        "  {} went apart behind version {version}:",
        divergence.aggregate
    )?;
    for (side, branch) in [
        ("in the file", &divergence.ours),
        ("on the server", &divergence.theirs),
    ] {
        writeln!(text, "    {side}: {}", told(branch))?;
    }
    Ok(())
}

fn told(branch: &Branch) -> String {
    let events = branch.events.iter().map(|event| {
        let actor = event.actor.as_deref().unwrap_or("somebody");
        format!("{} by {actor}, version {}", event.event_type, event.version)
    });
    events.collect::<Vec<_>>().join("; ")
}
