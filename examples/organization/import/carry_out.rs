//! Doing what was planned: each organization with all of its rows is one commit.
//!
//! One that is too large for that takes several; a new one becomes active with the last of them.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::ErrorChain;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::StoreError;

use super::super::{OrganizationCommand, OrganizationError};
use super::Problem;
use super::plan::plan;
use super::run::{Import, ImportError, Planned};

/// How many steps are one commit. Each is one event, a new organization reserves its code with one more, and a store
/// takes 1,000 at once.
const COMMIT: usize = 900;

/// How often something is tried that is refused because somebody else changed the organization since it was looked at.
const ATTEMPTS: usize = 5;

impl<P: Fn(usize, usize)> Import<'_, P> {
    /// Does what was planned, organization by organization.
    pub(super) async fn carry_out(&mut self, planned: Vec<Planned<'_>>) -> Result<(), ImportError> {
        // Those that were left out, and those that somebody else created in the meantime.
        let (mut missing, mut known) = (BTreeSet::new(), BTreeMap::new());
        for mut organization in planned {
            self.advance(organization.rows.len());
            if organization.parent.is_some_and(|it| missing.contains(&it)) {
                let reason = "its parent was not imported";
                self.report
                    .problems
                    .push(Problem::of(&organization.rows[0], reason));
                self.report.left_out += 1;
                missing.insert(organization.id);
                continue;
            }
            let before: usize = self.report.events.values().sum();
            let (id, parent) = (organization.id, organization.parent);
            organization.parent = parent.map(|it| known.get(&it).copied().unwrap_or(it));
            let mut done = match organization.parent == parent {
                true => Ok(()),
                false => self.plan_again(&mut organization).await?,
            };
            if done.is_ok() {
                done = self.follow(&mut organization).await?;
            }
            if organization.id != id {
                known.insert(id, organization.id);
            }
            if done.is_ok() && organization.has_own_row {
                self.place(&organization).await?;
            }
            let after: usize = self.report.events.values().sum();
            match (done, organization.is_new, after > before) {
                (Err(problems), ..) => {
                    self.report.problems.extend(problems);
                    self.report.left_out += 1;
                    if organization.is_new {
                        missing.insert(organization.id);
                    }
                }
                (_, true, _) => self.report.created += 1,
                (_, _, true) => self.report.changed += 1,
                _ => self.report.unchanged += 1,
            }
        }
        Ok(())
    }

    /// Takes all steps. When somebody else was here between the plan and now, what is left to do is planned again.
    async fn follow(
        &mut self,
        planned: &mut Planned<'_>,
    ) -> Result<Result<(), Vec<Problem>>, ImportError> {
        let mut attempts = 0;
        loop {
            let Err(problem) = self.take_steps(planned).await? else {
                return Ok(Ok(()));
            };
            attempts += 1;
            if attempts == ATTEMPTS {
                return Ok(Err(vec![problem]));
            }
            if let Err(problems) = self.plan_again(planned).await? {
                return Ok(Err(problems));
            }
        }
    }

    async fn plan_again(
        &self,
        planned: &mut Planned<'_>,
    ) -> Result<Result<(), Vec<Problem>>, LoadError> {
        if let Some(id) = self.find(planned.code).await?
            && id != planned.id
        {
            (planned.id, planned.is_new) = (id, false);
        }
        let present = self.organizations.load(&planned.id).await?;
        let steps = plan(&present, planned.id, planned.parent, &planned.rows);
        Ok(steps.map(|steps| planned.steps = steps))
    }

    /// Takes all steps, in one commit as far as a store takes that many events.
    async fn take_steps(
        &mut self,
        planned: &Planned<'_>,
    ) -> Result<Result<(), Problem>, ImportError> {
        for steps in planned.steps.chunks(COMMIT) {
            let commands = steps.iter().map(|step| step.command.clone());
            match self.execute(planned.id, commands).await {
                Ok(()) => {}
                Err(ExecuteError::OneOfSeveral { place, reason, .. }) => {
                    let row = &planned.rows[steps[place].row];
                    return Ok(Err(Problem::of(row, reason)));
                }
                Err(error) if is_by_somebody_else(&error) => {
                    let row = &planned.rows[steps[0].row];
                    return Ok(Err(Problem::of(row, error)));
                }
                Err(source) => {
                    return Err(ImportError::Execute {
                        code: planned.code.clone(),
                        source,
                    });
                }
            }
        }
        Ok(Ok(()))
    }

    /// Has the organization stand under the parent that the file names, and under no other.
    async fn place(&mut self, planned: &Planned<'_>) -> Result<(), ImportError> {
        let child = planned.id;
        let mut attempts = 0;
        loop {
            let present = self.parent(child).await?;
            let (parent, command) = match (present, planned.parent) {
                (present, wanted) if present == wanted => return Ok(()),
                (Some(parent), _) => (parent, OrganizationCommand::RemoveChild { child }),
                (None, Some(parent)) => (parent, OrganizationCommand::AddChild { child }),
                (None, None) => return Ok(()),
            };
            attempts += 1;
            match self.execute(parent, [command]).await {
                Ok(()) => {}
                Err(error) if !is_by_somebody_else(&error) => {
                    return Err(ImportError::Execute {
                        code: planned.code.clone(),
                        source: error,
                    });
                }
                Err(_) if attempts < ATTEMPTS => {}
                Err(error) => {
                    let error = ErrorChain(&error);
                    let reason = format!("imported, but not put under its parent: {error}");
                    let problem = Problem::of(&planned.rows[0], reason);
                    self.report.problems.push(problem);
                    return Ok(());
                }
            }
        }
    }
}

/// Whether a refusal may be none once it is looked at what somebody else did.
fn is_by_somebody_else(error: &ExecuteError<OrganizationError>) -> bool {
    matches!(
        error,
        ExecuteError::Refused(_)
            | ExecuteError::NotAccepted { .. }
            | ExecuteError::NameTaken { .. }
            | ExecuteError::Store(StoreError::Conflict { .. })
    )
}
