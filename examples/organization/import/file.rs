//! The rows of a file, each checked for itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use cim_es::value::ValueError;
use csv::StringRecord;

use super::super::values::{Code, Label, OrganizationType};

/// The columns of a file. All have to be there: an empty cell says that there is nothing, and no cell would say nothing.
pub const COLUMNS: [&str; 7] = [
    "kind",
    "organization",
    "code",
    "name",
    "parent",
    "unit",
    "detail",
];

/// One row: a thing with its code and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line of the file that it begins in.
    pub line: u64,
    /// The organization that it is, or is a part of.
    pub organization: Code,
    pub code: Code,
    pub name: Label,
    pub what: What,
}

impl Row {
    /// Whether it is an organization itself.
    pub fn is_organization(&self) -> bool {
        matches!(self.what, What::Organization { .. })
    }
}

/// What a row is about, with what such a thing has beside its code and its name.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Organization {
        parent: Option<Code>,
        organization_type: OrganizationType,
    },
    Unit {
        parent: Option<Code>,
    },
    Team {
        unit: Option<Code>,
    },
    Role {
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    Facility {
        within: Option<Code>,
        location: Option<Label>,
    },
}

impl What {
    /// The word of the column `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Organization { .. } => "organization",
            Self::Unit { .. } => "unit",
            Self::Team { .. } => "team",
            Self::Role { .. } => "role",
            Self::Facility { .. } => "facility",
        }
    }

    /// The code of the thing of the same kind above it.
    pub fn above(&self) -> Option<&Code> {
        match self {
            Self::Organization { parent, .. } | Self::Unit { parent } => parent.as_ref(),
            Self::Team { .. } => None,
            Self::Role { reports_to, .. } => reports_to.as_ref(),
            Self::Facility { within, .. } => within.as_ref(),
        }
    }
}

/// A row that is not imported, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line of the file.
    pub line: u64,
    /// The organization that is left out for it; none when it cannot be told, and then all are.
    pub organization: Option<Code>,
    /// What is wrong.
    pub reason: String,
}

impl Problem {
    /// A problem of a row.
    pub fn of(row: &Row, reason: impl fmt::Display) -> Self {
        Self {
            line: row.line,
            organization: Some(row.organization.clone()),
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Why a file cannot be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The first line is not text in UTF-8.
    #[error("the first line cannot be read; save the file as UTF-8")]
    Header(#[source] csv::Error),
    /// A column is missing.
    #[error("there is no column `{0}`: the first line names the columns {columns}", columns = COLUMNS.join(","))]
    MissingColumn(&'static str),
    /// A column is not known, or is there twice.
    #[error("column `{0}` is not known or is there twice: the first line names the columns {columns}", columns = COLUMNS.join(","))]
    UnknownColumn(String),
}

/// A file that was read.
#[derive(Debug, Default)]
pub struct File {
    /// The rows that are right for themselves, in the order of the file.
    pub rows: Vec<Row>,
    /// Those that are not.
    pub problems: Vec<Problem>,
}

impl File {
    /// Reads every row. A line that begins with `#` is a remark.
    ///
    /// # Errors
    /// [`FileError`] when the first line does not name the columns.
    pub fn read(mut input: impl Read) -> Result<Self, FileError> {
        let mut text = Vec::new();
        input.read_to_end(&mut text)?;
        let mut lines = Lines::of(&text);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .delimiter(delimiter(&text))
            .from_reader(text.as_slice());
        let places = places(reader.headers().map_err(FileError::Header)?)?;
        let columns = reader.headers().map_or(0, StringRecord::len);
        let (mut file, mut seen) = (Self::default(), BTreeMap::new());
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    file.problems.push(Problem {
                        line: lines.number(error.position()),
                        organization: None,
                        reason: match error.kind() {
                            csv::ErrorKind::Utf8 { .. } => {
                                "it is not text in UTF-8: save the file as UTF-8".to_owned()
                            }
                            _ => error.to_string(),
                        },
                    });
                    continue;
                }
            };
            if record.iter().all(str::is_empty) {
                continue;
            }
            let cells = Cells {
                line: lines.number(record.position()),
                record: &record,
                places: &places,
                columns,
            };
            match cells.row() {
                Ok(row) => {
                    let key = (row.organization.clone(), row.what.kind(), row.code.clone());
                    match seen.get(&key) {
                        Some(line) => {
                            let (kind, code) = (row.what.kind(), &row.code);
                            let reason = format!("{kind} {code} is in line {line} already");
                            file.problems.push(Problem::of(&row, reason));
                        }
                        None => {
                            seen.insert(key, row.line);
                            file.rows.push(row);
                        }
                    }
                }
                Err(problem) => file.problems.push(problem),
            }
        }
        Ok(file)
    }
}

/// The character between cells: a semicolon or a tabulator where the first line has more of them than commas, as
/// spreadsheets write it in places where a comma stands before decimals.
fn delimiter(text: &[u8]) -> u8 {
    let mut lines = text.split(|byte| *byte == b'\n');
    let header = lines.find(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
    let count = |delimiter: &u8| {
        let bytes = header.into_iter().flatten();
        bytes.filter(|byte| *byte == delimiter).count()
    };
    // The last one of equals.
    let most = [b'\t', b';', b','].into_iter().max_by_key(count);
    most.unwrap_or(b',')
}

/// Where each of the known columns is. A column without a name is passed over: spreadsheets have some at the end.
fn places(header: &StringRecord) -> Result<BTreeMap<&'static str, usize>, FileError> {
    let mut places = BTreeMap::new();
    let named = header.iter().enumerate();
    for (place, name) in named.filter(|(_, name)| !name.is_empty()) {
        let known = COLUMNS.iter().find(|known| **known == name);
        let is_new = known.is_some_and(|known| places.insert(*known, place).is_none());
        if !is_new {
            return Err(FileError::UnknownColumn(name.to_owned()));
        }
    }
    let missing = COLUMNS.iter().find(|needed| !places.contains_key(*needed));
    match missing {
        Some(missing) => Err(FileError::MissingColumn(missing)),
        None => Ok(places),
    }
}

/// Counts lines: the reader's own count is off where it passes over empty lines and remarks.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            byte: 0,
            line: 1,
        }
    }

    /// The line in which the record begins that the reader found after a position; positions only grow.
    fn number(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.map_or(0, |it| usize::try_from(it.byte()).unwrap_or(usize::MAX));
        let mut is_remark = false;
        while let Some(next) = self.text.get(self.byte) {
            is_remark = match next {
                b'#' if self.byte >= byte => true,
                b'\n' => false,
                _ => is_remark,
            };
            if self.byte >= byte && !is_remark && !matches!(next, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*next == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

struct Cells<'a> {
    line: u64,
    record: &'a StringRecord,
    places: &'a BTreeMap<&'static str, usize>,
    columns: usize,
}

impl Cells<'_> {
    /// The text of a column; empty when there is no such column.
    fn text(&self, column: &str) -> &str {
        let place = self.places.get(column);
        place
            .and_then(|place| self.record.get(*place))
            .unwrap_or("")
    }

    fn needed<T: FromStr<Err = ValueError>>(&self, column: &str) -> Result<T, String> {
        match self.text(column) {
            "" => Err(format!("column `{column}` is empty")),
            text => text
                .parse()
                .map_err(|error| format!("column `{column}`: {error}")),
        }
    }

    fn given<T: FromStr<Err = ValueError>>(&self, column: &str) -> Result<Option<T>, String> {
        match self.text(column) {
            "" => Ok(None),
            _ => self.needed(column).map(Some),
        }
    }

    /// The organization that the row belongs to, as far as it can be told.
    fn organization(&self) -> Result<Code, String> {
        let (kind, organization) = (self.text("kind"), self.text("organization"));
        if kind != "organization" {
            return self.needed("organization");
        }
        match organization.is_empty() || organization == self.text("code") {
            true => self.needed("code"),
            false => {
                Err("column `organization` names another organization: leave it empty".to_owned())
            }
        }
    }

    fn row(&self) -> Result<Row, Problem> {
        let line = self.line;
        let problem = |organization: Option<Code>, reason| Problem {
            line,
            organization,
            reason,
        };
        let count = self.record.len();
        if count != self.columns {
            let reason = format!(
                "{count} columns, where the first line names {}",
                self.columns
            );
            return Err(problem(None, reason));
        }
        let organization = self
            .organization()
            .map_err(|reason| problem(None, reason))?;
        self.checked(line, &organization)
            .map_err(|reason| problem(Some(organization), reason))
    }

    fn checked(&self, line: u64, organization: &Code) -> Result<Row, String> {
        let is_unnamed = |place: &usize| !self.places.values().any(|known| known == place);
        let mut filled = (0..self.columns).filter(|place| !self.record[*place].is_empty());
        if let Some(place) = filled.find(is_unnamed) {
            let number = place + 1;
            return Err(format!(
                "column {number} has no name and is not empty: name it, or empty it"
            ));
        }
        let what = match self.text("kind") {
            "organization" => What::Organization {
                parent: self.given("parent")?,
                organization_type: self.given("detail")?.unwrap_or(OrganizationType::Other),
            },
            "unit" => What::Unit {
                parent: self.given("parent")?,
            },
            "team" => What::Team {
                unit: self.given("unit")?,
            },
            "role" => What::Role {
                unit: self.given("unit")?,
                reports_to: self.given("parent")?,
            },
            "facility" => What::Facility {
                within: self.given("parent")?,
                location: self.given("detail")?,
            },
            other => {
                return Err(format!(
                    "{other:?} is no kind: organization, unit, team, role or facility"
                ));
            }
        };
        let has_no: &[&str] = match what {
            What::Organization { .. } | What::Facility { .. } => &["unit"],
            What::Unit { .. } => &["unit", "detail"],
            What::Team { .. } => &["parent", "detail"],
            What::Role { .. } => &["detail"],
        };
        if let Some(column) = has_no.iter().find(|column| !self.text(column).is_empty()) {
            let kind = what.kind();
            return Err(format!(
                "column `{column}` is not empty, and a row of kind {kind} has none"
            ));
        }
        Ok(Row {
            line,
            organization: organization.clone(),
            code: self.needed("code")?,
            name: self.needed("name")?,
            what,
        })
    }
}
