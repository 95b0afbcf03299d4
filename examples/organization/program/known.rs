//! The organizations of a store, found by id or code, now or at a moment.

use std::collections::BTreeMap;

use cim_es::prelude::*;
use cim_es::repository::LoadError;
use cim_es::store::Position;

use super::super::values::Code;
use super::super::{Organization, OrganizationEvent};
use super::ProgramError;

/// How many events are read at a time.
const BATCH: usize = 1_000;

/// Organizations by their ids.
pub type Organizations = BTreeMap<Id<Organization>, Organization>;

/// The organizations of a store.
#[derive(Debug)]
pub struct Known {
    organizations: Repository<Organization>,
}

impl Known {
    /// The organizations of a repository.
    pub fn new(organizations: Repository<Organization>) -> Self {
        Self { organizations }
    }

    /// Every organization that was ever created, with its code, in the order of their creation.
    async fn created(&self) -> Result<Vec<(Id<Organization>, Code)>, LoadError> {
        let subject = subject!(OrganizationEvent, "organization.organization.created");
        let (mut found, mut after) = (Vec::new(), Position::START);
        loop {
            let batch = self.organizations.events_of(subject, after, BATCH).await?;
            let Some(last) = batch.last() else {
                return Ok(found);
            };
            after = last.stored.position;
            found.extend(batch.into_iter().filter_map(|it| match it.event {
                OrganizationEvent::Created { id, code, .. } => Some((id, code)),
                _ => None,
            }));
        }
    }

    /// The id of the organization with an id or a code; of several that had the code, the one that has it, or else the
    /// last.
    ///
    /// # Errors
    /// [`ProgramError::Unknown`] when there is none, [`ProgramError::NoName`] for a text that is neither.
    pub async fn find(&self, name: &str) -> Result<Id<Organization>, ProgramError> {
        let unknown = || ProgramError::Unknown(name.to_owned());
        if let Ok(code) = Code::new(name) {
            let holder = self
                .organizations
                .holder(&Organization::code_name(&code))
                .await?;
            if let Some(id) = holder.and_then(|holder| holder.id.parse().ok()) {
                return Ok(id);
            }
            let created = self.created().await?.into_iter().rev();
            let mut with_code = created.filter(|(_, known)| *known == code);
            return with_code.next().map(|(id, _)| id).ok_or_else(unknown);
        }
        let id = name
            .parse()
            .map_err(|_| ProgramError::NoName(name.to_owned()))?;
        match self.organizations.load(&id).await?.version() {
            0 => Err(unknown()),
            _ => Ok(id),
        }
    }

    /// The organization with a name, or all of them, now or at a moment; those that did not exist then are left out.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub async fn chosen(
        &self,
        name: Option<&str>,
        time: Option<Timestamp>,
    ) -> Result<Organizations, ProgramError> {
        let ids = match name {
            Some(name) => vec![self.find(name).await?],
            None => {
                let created = self.created().await?;
                created.into_iter().map(|(id, _)| id).collect()
            }
        };
        let mut chosen = Organizations::new();
        for id in ids {
            let organization = match time {
                Some(time) => self.organizations.load_at(&id, time).await?,
                None => self.organizations.load(&id).await?,
            };
            if organization.version() > 0 {
                chosen.insert(id, organization.into_aggregate());
            }
        }
        Ok(chosen)
    }
}
