//! Which form a version has, where two programs open it in both at one instant.
//!
//! A storage makes a view once, whoever asks. So the form of a version is the fingerprint of a view without documents, and
//! who comes with the other form is refused by the storage. It is held while the version is being made, so that it is told
//! from one whose version a person removed.

use std::time::Duration;

use uuid::Uuid;

use super::Form;
use crate::document::PartNames;
use crate::domain::message::{Clock, SystemClock};
use crate::projection::{OpenError, ViewId};
use crate::store::read_model::{
    ReadModelError, ReadModelStorage, ReadModelStorageExt, ViewDeclaration, ViewRecord,
};

/// How long making a version may take before its form is another's to say.
const MAKING: Duration = Duration::from_secs(5);
/// How often it is tried, where others come and go.
const TRIES: usize = 10;

impl Form {
    fn fingerprint(self) -> u64 {
        match self {
            Self::Whole => 1,
            Self::InParts => 2,
        }
    }
}

/// The form that a version is being made in.
pub(in crate::projection) struct Claim {
    view: ViewId,
    form: Form,
    /// None where the name has no room for parts, so that there is one form.
    claimed: Option<ViewId>,
    me: Uuid,
    /// Whether the version was not there before.
    is_first: bool,
}

impl Claim {
    /// Says which form a version has, unless it has the other one.
    ///
    /// # Errors
    /// [`OpenError::KeptOtherwise`], and what the storage says.
    pub(super) async fn take(
        storage: &dyn ReadModelStorage,
        view: &ViewId,
        form: Form,
    ) -> Result<Self, OpenError> {
        let claim = Self {
            view: view.clone(),
            form,
            claimed: claimed(view),
            me: Uuid::now_v7(),
            is_first: !is_there(storage, view, form).await?,
        };
        let Some(claimed) = &claim.claimed else {
            return Ok(claim);
        };
        for _ in 0..TRIES {
            if claim.say(storage, claimed).await? {
                match storage.hold(claimed, claim.me, MAKING).await {
                    // Another took it for one that was left behind, in between.
                    Err(ReadModelError::NoSuchView { .. }) => continue,
                    held => drop(held?),
                }
                return Ok(claim);
            }
            let Some(record) = storage.view(claimed).await? else {
                continue;
            };
            let held = record.held;
            let is_being_made = held.is_some_and(|held| !held.has_lapsed(SystemClock.now()));
            if is_being_made || is_there(storage, view, form.other()).await? {
                break;
            }
            storage.remove_view(claimed).await?;
        }
        Err(claim.refused())
    }

    /// Makes sure that the version, which is there now, is of the form that was said.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(in crate::projection) async fn confirm(
        self,
        storage: &dyn ReadModelStorage,
    ) -> Result<(), OpenError> {
        let Some(claimed) = &self.claimed else {
            return Ok(());
        };
        if !self.say(storage, claimed).await? {
            return Err(self.refused());
        }
        // Who was so slow that its claim seemed to be left behind may be there already.
        if self.is_first && is_there(storage, &self.view, self.form.other()).await? {
            storage.remove_view(claimed).await?;
            storage.remove_view(&self.made()?).await?;
            return Err(self.refused());
        }
        storage.release(claimed, self.me).await?;
        Ok(())
    }

    /// Whether the form is that of the version.
    async fn say(
        &self,
        storage: &dyn ReadModelStorage,
        claimed: &ViewId,
    ) -> Result<bool, ReadModelError> {
        let declaration = ViewDeclaration::new(claimed.clone(), self.form.fingerprint());
        match storage.open_view(&declaration).await {
            Err(ReadModelError::DeclarationChanged { .. }) => Ok(false),
            opened => opened.map(|_| true),
        }
    }

    /// What shows that the version is there.
    fn made(&self) -> Result<ViewId, ReadModelError> {
        match self.form {
            Form::Whole => Ok(self.view.clone()),
            Form::InParts => PartNames::new(self.view.name(), self.view.version(), 1)?.whole(),
        }
    }

    fn refused(&self) -> OpenError {
        OpenError::KeptOtherwise {
            view: self.view.clone(),
            is_in_parts: self.form == Form::Whole,
        }
    }
}

/// Removes what is said of versions before a version.
pub(super) async fn remove_before(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
) -> Result<(), ReadModelError> {
    let Some(claimed) = claimed(view) else {
        return Ok(());
    };
    for record in storage.views(claimed.name()).await? {
        if record.view.version() < view.version() {
            storage.remove_view(&record.view).await?;
        }
    }
    Ok(())
}

/// The view that says the form of a version; none where its name has no room for parts.
fn claimed(view: &ViewId) -> Option<ViewId> {
    PartNames::new(view.name(), view.version(), 1).ok()?;
    ViewId::new(format!("{}--form", view.name()), view.version()).ok()
}

/// Whether a version is there in a form.
async fn is_there(
    storage: &dyn ReadModelStorage,
    view: &ViewId,
    form: Form,
) -> Result<bool, ReadModelError> {
    let versions = match form {
        Form::Whole => storage.views(view.name()).await?,
        Form::InParts => {
            let in_parts = PartNames::whole_name(view.name());
            storage.views(&in_parts).await?
        }
    };
    let is_it = |record: &ViewRecord| record.view.version() == view.version();
    Ok(versions.iter().any(is_it))
}
