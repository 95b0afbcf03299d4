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
                OrganizationEvent::Created { code, .. } => {
                    Some((it.stored.envelope.aggregate_id.parse().ok()?, code))
                }
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

    /// The id of the organization with a name, if there is a name.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn find_if(
        &self,
        name: Option<&str>,
    ) -> Result<Option<Id<Organization>>, ProgramError> {
        match name {
            Some(name) => self.find(name).await.map(Some),
            None => Ok(None),
        }
    }

    /// One organization with those under it, or all of them, now or at a moment; those that did not exist then are left
    /// out.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn chosen(
        &self,
        top: Option<Id<Organization>>,
        time: Option<Timestamp>,
    ) -> Result<Organizations, LoadError> {
        let mut open = match top {
            Some(id) => vec![id],
            None => self.created().await?.into_iter().map(|it| it.0).collect(),
        };
        let mut chosen = Organizations::new();
        while let Some(id) = open.pop() {
            if !chosen.contains_key(&id) {
                let children = self.add(id, time, &mut chosen).await?;
                // All are there already when no one was asked for.
                open.extend(children.into_iter().filter(|_| top.is_some()));
            }
        }
        Ok(chosen)
    }

    /// What `chosen` gives at two moments, and each of these at the other moment too: what has gone to another place since
    /// is not gone.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn chosen_at_both(
        &self,
        top: Option<Id<Organization>>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(Organizations, Organizations), LoadError> {
        let mut before = self.chosen(top, Some(from)).await?;
        let mut after = self.chosen(top, Some(to)).await?;
        let ids: Vec<_> = before.keys().chain(after.keys()).copied().collect();
        for (all, time) in [(&mut before, from), (&mut after, to)] {
            for id in &ids {
                if !all.contains_key(id) {
                    self.add(*id, Some(time), all).await?;
                }
            }
        }
        Ok((before, after))
    }

    /// Adds an organization as it is now, or was at a moment if it existed then; gives its children.
    async fn add(
        &self,
        id: Id<Organization>,
        time: Option<Timestamp>,
        all: &mut Organizations,
    ) -> Result<Vec<Id<Organization>>, LoadError> {
        let organization = match time {
            Some(time) => self.organizations.load_at(&id, time).await?,
            None => self.organizations.load(&id).await?,
        };
        if organization.version() == 0 {
            return Ok(Vec::new());
        }
        let children = organization.children.iter().copied().collect();
        all.insert(id, organization.into_aggregate());
        Ok(children)
    }
}
