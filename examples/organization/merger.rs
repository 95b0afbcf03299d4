//! A merger: two commands on two organizations, the second caused by what the first led to.

use cim_es::prelude::*;
use cim_es::repository::ExecuteError;

use super::values::{MergerType, NaiveDate};
use super::{Organization, OrganizationCommand, OrganizationCommand::*, OrganizationError};

/// Why a merger did not come about, or not whole; taken up again, it goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum MergerError {
    /// The one that would end does not accept it, so the survivor was not asked.
    #[error("the organization that would end is {state}, and merges only while Active or Inactive")]
    NotNow {
        /// Its state.
        state: &'static str,
    },
    /// The survivor does not absorb the other, or the one that would end is refused at the last moment.
    #[error(transparent)]
    Execute(#[from] ExecuteError<OrganizationError>),
}

/// Has one organization absorbed by another, and ends it; gives the number of events.
///
/// The survivor comes first: it takes the other once, for no other to take, and what was absorbed can still end. The
/// other way round an organization could end with nobody to continue it.
///
/// # Errors
/// [`MergerError`].
pub async fn merge(
    organizations: &Repository<Organization>,
    ending: Id<Organization>,
    survivor: Id<Organization>,
    (merger, effective): (MergerType, NaiveDate),
    identity: &MessageIdentity,
) -> Result<usize, MergerError> {
    let end = MergeInto {
        survivor,
        merger,
        effective,
    };
    let present = organizations.load(&ending).await;
    let state = present.map_err(ExecuteError::from)?.state();
    if !state.can_accept(&end) {
        let state = state.name();
        return Err(MergerError::NotNow { state });
    }
    let absorb: OrganizationCommand = Absorb { absorbed: ending };
    let absorbed = organizations.execute(&survivor, absorb, identity).await?;
    let cause = match absorbed.events().first() {
        Some(event) => MessageIdentity::caused_by(event),
        None => MessageIdentity::caused_by(identity),
    };
    let ended = organizations.execute(&ending, end, &cause).await?;
    Ok(absorbed.events().len() + ended.events().len())
}
