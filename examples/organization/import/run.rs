//! Importing a file: each organization with all of its rows is one commit.
//!
//! One that is too large for that takes several; a new one becomes active with the last of them.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};

use super::super::values::Code;
use super::super::{Organization, OrganizationCommand, OrganizationError};
use super::plan::{Step, plan, top_down};
use super::{File, Problem, Row, What};

/// How many steps are one commit. Each is one event, a new organization reserves its code with one more, and a store
/// takes 1,000 at once.
const COMMIT: usize = 900;

/// How a file is imported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// One bad row anywhere, and nothing is imported. Without it, the organizations without a bad row are.
    pub all_or_nothing: bool,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// Organizations that are new.
    pub created: usize,
    /// Organizations that were known and changed.
    pub changed: usize,
    /// Organizations that were as the file says already.
    pub unchanged: usize,
    /// How many events were recorded, by their types.
    pub events: BTreeMap<String, usize>,
    /// The rows that were not imported, by line; their organizations were left out whole.
    pub problems: Vec<Problem>,
    /// The organizations that were left out.
    pub left_out: usize,
}

/// Why an import ended early. The organizations that were imported by then stay; a further import goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store did not take a commit.
    #[error("organization {code}: {source}")]
    Execute {
        /// The organization.
        code: Code,
        /// Why.
        source: ExecuteError<OrganizationError>,
    },
}

/// One organization of the file.
struct Planned<'a> {
    code: &'a Code,
    id: Id<Organization>,
    rows: Vec<Row>,
    parent: Option<Id<Organization>>,
    is_new: bool,
    /// Whether the file says where it stands: it has a row of its own.
    has_own_row: bool,
    steps: Vec<Step>,
}

/// Makes the organizations of a store what a file says. `progress` is told how many of how many rows are done.
///
/// # Errors
/// [`ImportError`] when the store fails. A row that cannot be followed is no error but a [`Problem`] in the report.
pub async fn run(
    organizations: &Repository<Organization>,
    file: &File,
    options: Options,
    progress: impl Fn(usize, usize),
) -> Result<Report, ImportError> {
    let mut import = Import {
        organizations,
        identity: MessageIdentity::new_from_user("import"),
        report: Report {
            problems: file.problems.clone(),
            ..Report::default()
        },
        progress: &progress,
        done: 0,
        all: 2 * file.rows.len(),
    };
    let planned = import.plan(file).await?;
    let problems = &import.report.problems;
    let is_stopped = problems.iter().any(|it| it.organization.is_none())
        || options.all_or_nothing && !problems.is_empty();
    match is_stopped {
        true => import.report.left_out += planned.len(),
        false => import.carry_out(planned).await?,
    }
    let mut report = import.report;
    report.problems.sort();
    Ok(report)
}

struct Import<'a, P> {
    organizations: &'a Repository<Organization>,
    identity: MessageIdentity,
    report: Report,
    progress: &'a P,
    done: usize,
    /// Twice the number of rows: each is planned, then carried out.
    all: usize,
}

impl<P: Fn(usize, usize)> Import<'_, P> {
    fn advance(&mut self, rows: usize) {
        self.done += rows;
        (self.progress)(self.done / 2, self.all / 2);
    }

    /// The id of the organization that holds a code.
    async fn find(&self, code: &Code) -> Result<Option<Id<Organization>>, LoadError> {
        let holder = self
            .organizations
            .holder(&Organization::code_name(code))
            .await?;
        Ok(holder.and_then(|holder| holder.id.parse().ok()))
    }

    /// What is to be done for each organization without a bad row, those above first.
    async fn plan<'f>(&mut self, file: &'f File) -> Result<Vec<Planned<'f>>, LoadError> {
        let mut groups: BTreeMap<&Code, Vec<&Row>> = BTreeMap::new();
        for row in &file.rows {
            groups.entry(&row.organization).or_default().push(row);
        }
        let above = |code: &Code| parent_of(groups.get(code)?).cloned();
        let (order, circle) = top_down(groups.keys().copied(), above);
        let bad = file
            .problems
            .iter()
            .filter_map(|it| it.organization.as_ref());
        let bad: BTreeSet<&Code> = bad.collect();
        let (mut ids, mut planned) = (BTreeMap::new(), Vec::new());
        // What is above and not in the file is found when it is asked for.
        for (code, rows) in order.iter().filter_map(|code| groups.get_key_value(code)) {
            self.advance(rows.len());
            let found = match bad.contains(code) {
                true => Err(Vec::new()),
                false => self.plan_one(code, rows, &circle, &ids).await?,
            };
            match found {
                Ok(organization) => {
                    ids.insert(*code, organization.id);
                    planned.push(organization);
                }
                Err(problems) => {
                    self.report.left_out += 1;
                    self.report.problems.extend(problems);
                }
            }
        }
        let without_rows = bad.iter().filter(|code| !groups.contains_key(*code));
        self.report.left_out += without_rows.count();
        Ok(planned)
    }

    /// What is to be done for one organization, or why nothing is. `ids` has those above it that are in the file.
    async fn plan_one<'f>(
        &self,
        code: &'f Code,
        rows: &[&Row],
        circle: &[Code],
        ids: &BTreeMap<&Code, Id<Organization>>,
    ) -> Result<Result<Planned<'f>, Vec<Problem>>, LoadError> {
        let own = rows.iter().find(|row| row.is_organization());
        let refused = |reason: String| Ok(Err(vec![Problem::of(own.unwrap_or(&rows[0]), reason)]));
        if circle.contains(code) {
            return refused("the organization stands above itself".to_owned());
        }
        let found = self.find(code).await?;
        if found.is_none() && own.is_none() {
            return refused(format!(
                "there is no organization {code}: give it a row of its own"
            ));
        }
        let mut parent = None;
        if let Some(above) = parent_of(rows) {
            parent = match ids.get(above) {
                Some(id) => Some(*id),
                None => self.find(above).await?,
            };
            if parent.is_none() {
                return refused(format!("its parent {above} is neither known nor imported"));
            }
        }
        let id = found.unwrap_or_else(Id::new);
        let present = self.organizations.load(&id).await?;
        let rows: Vec<Row> = rows.iter().map(|row| (*row).clone()).collect();
        Ok(plan(&present, id, parent, &rows).map(|steps| Planned {
            code,
            id,
            parent,
            is_new: found.is_none(),
            has_own_row: rows.iter().any(Row::is_organization),
            rows,
            steps,
        }))
    }

    async fn carry_out(&mut self, planned: Vec<Planned<'_>>) -> Result<(), ImportError> {
        let mut missing = BTreeSet::new();
        for organization in planned {
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
            let is_done = self.follow(&organization).await?;
            if is_done && organization.has_own_row {
                self.place(&organization).await?;
            }
            let after: usize = self.report.events.values().sum();
            match (is_done, organization.is_new, after > before) {
                (false, ..) => {
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

    /// Takes all steps, in one commit as far as a store takes that many events; whether they were accepted.
    async fn follow(&mut self, planned: &Planned<'_>) -> Result<bool, ImportError> {
        for steps in planned.steps.chunks(COMMIT) {
            let commands = steps.iter().map(|step| step.command.clone());
            // Somebody else was here between the plan and now.
            let (place, reason) = match self.execute(planned.id, commands).await {
                Ok(()) => continue,
                Err(ExecuteError::OneOfSeveral { place, reason, .. }) => (place, *reason),
                Err(
                    error @ (ExecuteError::Refused(_)
                    | ExecuteError::NotAccepted { .. }
                    | ExecuteError::NameTaken { .. }),
                ) => (0, error),
                Err(source) => {
                    return Err(ImportError::Execute {
                        code: planned.code.clone(),
                        source,
                    });
                }
            };
            let row = &planned.rows[steps[place].row];
            self.report.problems.push(Problem::of(row, reason));
            return Ok(false);
        }
        Ok(true)
    }

    /// Has the organization stand under the parent that the file names, and under no other.
    async fn place(&mut self, planned: &Planned<'_>) -> Result<(), ImportError> {
        let child = planned.id;
        let holder = self
            .organizations
            .holder(&Organization::child_name(child))
            .await?;
        let present: Option<Id<Organization>> = holder.and_then(|it| it.id.parse().ok());
        if present == planned.parent {
            return Ok(());
        }
        let removed = present.map(|parent| (parent, OrganizationCommand::RemoveChild { child }));
        let added = planned
            .parent
            .map(|parent| (parent, OrganizationCommand::AddChild { child }));
        for (parent, command) in removed.into_iter().chain(added) {
            match self.execute(parent, [command]).await {
                Ok(()) => {}
                Err(ExecuteError::Store(source)) => {
                    return Err(ImportError::Load(source.into()));
                }
                Err(error) => {
                    let reason = format!("imported, but not put under its parent: {error}");
                    self.report
                        .problems
                        .push(Problem::of(&planned.rows[0], reason));
                }
            }
        }
        Ok(())
    }

    async fn execute(
        &mut self,
        id: Id<Organization>,
        commands: impl IntoIterator<Item = OrganizationCommand>,
    ) -> Result<(), ExecuteError<OrganizationError>> {
        let identity = MessageIdentity::caused_by(&self.identity);
        let executed = self.organizations.execute_all(&id, commands, &identity);
        let commit = executed.await?;
        for event in commit.events() {
            let count = self.report.events.entry(event.event_type().to_owned());
            *count.or_default() += 1;
        }
        Ok(())
    }
}

/// The parent that the row of an organization names.
fn parent_of<'f>(rows: &[&'f Row]) -> Option<&'f Code> {
    rows.iter().find_map(|row| match &row.what {
        What::Organization { parent, .. } => parent.as_ref(),
        _ => None,
    })
}
