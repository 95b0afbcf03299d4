//! Opening a view that is kept in a storage.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Options, StoredHome, Work};
use crate::domain::ErrorChain;
use crate::projection::settled::Settled;
use crate::projection::{OpenError, Projection, ViewId};
use crate::store::read_model::{ReadModelError, ViewDeclaration, ViewRecord};
use crate::store::{EventStore, Position};

/// For how long others wait before they take over from a program of which nothing is heard.
const LEASE: Duration = Duration::from_secs(10);

/// The shortest time for which a view is held: it is held again in a third of it.
pub(in crate::projection) const SHORTEST_LEASE: Duration = Duration::from_millis(300);

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: LEASE,
            keeps_former: false,
            rebuilds_changed: false,
            succeeds_parts: false,
        }
    }
}

/// A view that is not run yet.
pub(in crate::projection) struct Made<W> {
    pub home: StoredHome<W>,
    /// Why it is built again, where it is.
    pub rebuilt: Option<String>,
}

/// Makes a view of a projection under a name, or finds it. What is done once was done up to a position at least.
pub(in crate::projection) async fn make<P: Projection, W: Work>(
    store: &Arc<dyn EventStore>,
    mut work: W,
    id: ViewId,
    done: Position,
    options: Options,
) -> Result<Made<W>, OpenError> {
    let views = work.storage().views(id.name()).await?;
    // One that another program, or this one before, began to build again is gone on with.
    let id = ViewRecord::newest_build(&views, &id).unwrap_or(id);
    work.turn_to(&id)?;
    let settled = settled(&views, &id)?.max(done);
    let there = views.iter().find(|record| record.view == id);
    let mut declaration = ViewDeclaration::new(id, P::FINGERPRINT).settled_up_to(settled);
    let mut rebuilt = None;
    let record = match work.make(&declaration).await {
        Err(error @ ReadModelError::TablesChanged { .. }) if options.rebuilds_changed => {
            tracing::warn!(view = %declaration.view, %error, "the view is built again");
            rebuilt = Some(ErrorChain(&error).to_string());
            declaration = declaration.settled_up_to(settled.max(done_by(there)));
            work.storage().remove_view(&declaration.view).await?;
            work.make(&declaration).await?
        }
        made => made?,
    };
    let home = StoredHome {
        work,
        declaration,
        options,
        me: Uuid::now_v7(),
        record,
        is_mine: false,
        is_alone: false,
        former: None,
        later: None,
        one_by_one: None,
        done_elsewhere: Settled::default(),
        store: Arc::clone(store),
    };
    Ok(Made { home, rebuilt })
}

/// Up to where the version that answers has done what is done once.
///
/// # Errors
/// [`OpenError::Superseded`] where a later version answers and this one is gone.
pub(in crate::projection) fn settled(
    versions: &[ViewRecord],
    view: &ViewId,
) -> Result<Position, OpenError> {
    let serving = versions.iter().find(|record| record.is_serving);
    let is_there = versions.iter().any(|record| record.view == *view);
    if let Some(later) = serving.filter(|record| record.view.version() > view.version())
        && !is_there
    {
        return Err(OpenError::Superseded {
            view: view.clone(),
            serving: later.view.clone(),
        });
    }
    let up_to = serving.map(|record| record.up_to.position);
    Ok(up_to.unwrap_or_default())
}

/// Up to where an earlier build had done what is done once.
fn done_by(record: Option<&ViewRecord>) -> Position {
    let done = record.map(|record| record.settled.max(record.up_to.position));
    done.unwrap_or_default()
}
