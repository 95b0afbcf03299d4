//! Importing a file: what is to be done for each organization, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};

use super::super::values::Code;
use super::super::{Organization, OrganizationCommand, OrganizationError};
use super::plan::{Step, plan, top_down};
use super::{File, Problem, Row, What};

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
    #[error("organization {code} was not imported")]
    Execute {
        /// The organization.
        code: Code,
        /// Why.
        source: ExecuteError<OrganizationError>,
    },
}

/// One organization of the file.
pub(super) struct Planned<'a> {
    pub(super) code: &'a Code,
    pub(super) id: Id<Organization>,
    pub(super) rows: Vec<Row>,
    pub(super) parent: Option<Id<Organization>>,
    pub(super) is_new: bool,
    /// Whether the file says where it stands: it has a row of its own.
    pub(super) has_own_row: bool,
    pub(super) steps: Vec<Step>,
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

pub(super) struct Import<'a, P> {
    pub(super) organizations: &'a Repository<Organization>,
    identity: MessageIdentity,
    pub(super) report: Report,
    progress: &'a P,
    done: usize,
    /// Twice the number of rows: each is planned, then carried out.
    all: usize,
}

impl<P: Fn(usize, usize)> Import<'_, P> {
    pub(super) fn advance(&mut self, rows: usize) {
        self.done += rows;
        (self.progress)(self.done / 2, self.all / 2);
    }

    /// The id of the organization that holds a code.
    pub(super) async fn find(&self, code: &Code) -> Result<Option<Id<Organization>>, LoadError> {
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
                    ids.insert(*code, (organization.id, organization.has_own_row));
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

    /// What is to be done for one organization, or why nothing is. `ids` has those above it that are in the file, and
    /// whether the file says where these stand.
    async fn plan_one<'f>(
        &self,
        code: &'f Code,
        rows: &[&Row],
        circle: &[Code],
        ids: &BTreeMap<&Code, (Id<Organization>, bool)>,
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
        let id = found.unwrap_or_else(Id::new);
        let present = self.organizations.load(&id).await?;
        let mut parent = None;
        if let Some(above) = parent_of(rows) {
            let in_file = ids.get(above);
            parent = match in_file {
                Some((id, _)) => Some(*id),
                None => self.find(above).await?,
            };
            let Some(parent) = parent else {
                return refused(format!("its parent {above} is neither known nor imported"));
            };
            let is_moved = in_file.is_some_and(|(_, is_moved)| *is_moved);
            if present.children.contains(&parent) && !is_moved {
                return refused(format!(
                    "its parent {above} stands below it: say in a row of its own where that one goes"
                ));
            }
        }
        if own.is_some()
            && let Some(reason) = self.cannot_stand_under(id, parent).await?
        {
            return refused(reason);
        }
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

    /// The organization under which one stands.
    pub(super) async fn parent(
        &self,
        child: Id<Organization>,
    ) -> Result<Option<Id<Organization>>, LoadError> {
        let name = Organization::child_name(child);
        let holder = self.organizations.holder(&name).await?;
        Ok(holder.and_then(|it| it.id.parse().ok()))
    }

    /// Why an organization cannot come to stand under a parent, or under none.
    async fn cannot_stand_under(
        &self,
        child: Id<Organization>,
        parent: Option<Id<Organization>>,
    ) -> Result<Option<String>, LoadError> {
        let present = self.parent(child).await?;
        if present == parent {
            return Ok(None);
        }
        let leave = present.map(|it| (it, OrganizationCommand::RemoveChild { child }));
        let enter = parent.map(|it| (it, OrganizationCommand::AddChild { child }));
        for (id, command) in leave.into_iter().chain(enter) {
            let it = self.organizations.load(&id).await?;
            // A parent that the file creates is active by then.
            if let Some(code) = &it.code
                && !it.state().can_accept(&command)
            {
                let state = it.state().name();
                return Ok(Some(format!(
                    "{code} is {state}, and its children stay as they are until it is active"
                )));
            }
        }
        Ok(None)
    }

    pub(super) async fn execute(
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
