//! The two forms in which a version of a view of documents is kept: whole, or in parts.
//!
//! A version has one form, and takes over from a former one of either. Storages know nothing of forms, so that what belongs
//! to a version in parts is found by the names of its views.

mod claim;

use futures_util::StreamExt;

pub(super) use claim::Claim;

use super::{OpenError, ViewId};
use crate::document::{PARTS, PartNames, parts_in};
use crate::store::read_model::{ReadModelError, ReadModelStorage, ReadModelStorageExt, ViewRecord};
use crate::store::{Bookmark, EventStore, Position, Selection, StoreError};

/// How a version is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    InParts,
}

impl Form {
    fn other(self) -> Self {
        match self {
            Self::Whole => Self::InParts,
            Self::InParts => Self::Whole,
        }
    }
}

/// Refuses a version that is kept in the other form, or is behind one that answers in the other form. What it gives is to be
/// confirmed once the version is there.
///
/// # Errors
/// [`OpenError::KeptOtherwise`], [`OpenError::Superseded`], and what the storage says.
pub(super) async fn check(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
    form: Form,
) -> Result<Claim, OpenError> {
    refuse(storage, view, form).await?;
    Claim::take(storage, view, form).await
}

async fn refuse(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
    form: Form,
) -> Result<(), OpenError> {
    let whole = storage.views(view.name()).await?;
    let in_parts = PartNames::whole_name(view.name());
    let in_parts = storage.views(&in_parts).await?;
    let (alike, others) = match form {
        Form::Whole => (whole, in_parts),
        Form::InParts => (in_parts, whole),
    };
    let is_it = |record: &&ViewRecord| record.view.version() == view.version();
    if alike.iter().any(|record| is_it(&record)) {
        return Ok(());
    }
    if others.iter().any(|record| is_it(&record)) {
        return Err(OpenError::KeptOtherwise {
            view: view.clone(),
            is_in_parts: form == Form::Whole,
        });
    }
    let serving = others.iter().find(|record| record.is_serving);
    match serving.map(|record| record.view.version()) {
        Some(version) if version > view.version() => Err(OpenError::Superseded {
            view: view.clone(),
            serving: ViewId::new(view.name().to_owned(), version)?,
        }),
        _ => Ok(()),
    }
}

/// The version that answers in parts; none where none does, and for a name that has no room for parts.
pub(super) async fn serving_in_parts(
    storage: &dyn ReadModelStorage,
    name: &str,
) -> Result<Option<ViewId>, ReadModelError> {
    if PartNames::new(name, 1, 1).is_err() {
        return Ok(None);
    }
    let serving = storage.serving(&PartNames::whole_name(name)).await?;
    let version = serving.map(|record| record.view.version());
    let view = version.map(|version| ViewId::new(name.to_owned(), version));
    view.transpose()
}

/// How far each part of a version is.
pub(super) async fn parts(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<Vec<Position>, ReadModelError> {
    let records = part_records(storage, view).await?.into_iter();
    let up_to = |record: ViewRecord| record.up_to.position;
    Ok(records
        .map(|it| it.map_or(Position::START, up_to))
        .collect())
}

/// What is known of each part of a version; none of one that does not answer.
async fn part_records(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<Vec<Option<ViewRecord>>, ReadModelError> {
    let Some(names) = names(storage, view).await? else {
        return Ok(Vec::new());
    };
    let mut parts = Vec::new();
    for part in 0..names.parts() {
        parts.push(storage.serving(names.part(part)?.name()).await?);
    }
    Ok(parts)
}

/// The position up to which a version has to count before it takes over from those before it that answer: that of the
/// former one, or of its part that is furthest. What was made of another history has counted nothing.
pub(super) async fn answered_up_to(
    storage: &dyn ReadModelStorage,
    store: &dyn EventStore,
    view: &ViewId,
) -> Result<Position, ReadModelError> {
    let is_former = |former: &ViewId| former.version() < view.version();
    let mut answering = Vec::new();
    let as_whole = storage.serving(view.name()).await?;
    answering.extend(as_whole.filter(|record| is_former(&record.view)));
    let in_parts = serving_in_parts(storage, view.name()).await?;
    if let Some(former) = in_parts.filter(is_former) {
        answering.extend(part_records(storage, &former).await?.into_iter().flatten());
    }
    answering.sort_by_key(|record| record.up_to.position);
    while let Some(furthest) = answering.pop() {
        if !is_of_another_history(store, furthest.up_to).await {
            return Ok(furthest.up_to.position);
        }
    }
    Ok(Position::START)
}

/// Whether an event that was counted is not in the store. A store that does not answer says so when it is read.
pub(super) async fn is_of_another_history(store: &dyn EventStore, up_to: Bookmark) -> bool {
    let mut behind = store.read(Selection::everything(), up_to);
    matches!(
        behind.next().await,
        Some(Err(StoreError::AnotherHistory(_)))
    )
}

/// Removes the versions in parts that are before a version, each with all its parts, and what is said of the forms of
/// versions before it.
pub(super) async fn remove_parts_before(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<(), ReadModelError> {
    if PartNames::new(view.name(), 1, 1).is_err() {
        return Ok(());
    }
    claim::remove_before(storage, view).await?;
    let wholes = storage.views(&PartNames::whole_name(view.name())).await?;
    let versions = wholes.iter().map(|record| record.view.version());
    for former in versions.filter(|version| *version < view.version()) {
        let former = ViewId::new(view.name().to_owned(), former)?;
        let names = names(storage, &former).await?;
        let none = PartNames::new(former.name(), former.version(), 1)?;
        for part in 0..names.as_ref().map_or(0, PartNames::parts) {
            for record in storage.views(none.part(part)?.name()).await? {
                storage.remove_view(&record.view).await?;
            }
            storage.remove_view(&none.member(part)?).await?;
        }
        storage.remove_view(&none.whole()?).await?;
    }
    Ok(())
}

/// The names of a version as it says how many parts it has; none before it does.
async fn names(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<Option<PartNames>, ReadModelError> {
    let whole = PartNames::new(view.name(), view.version(), 1)?.whole()?;
    let said = match storage.get(&whole, PARTS).await {
        Err(ReadModelError::NoSuchView { .. }) => return Ok(None),
        said => said?,
    };
    let parts = parts_in(said.value.as_deref());
    let names = parts.map(|parts| PartNames::new(view.name(), view.version(), parts));
    names.transpose()
}

/// Removes the versions that are kept whole and are before a version.
pub(super) async fn remove_wholes_before(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<(), ReadModelError> {
    for record in storage.views(view.name()).await? {
        if record.view.version() < view.version() {
            storage.remove_view(&record.view).await?;
        }
    }
    Ok(())
}
