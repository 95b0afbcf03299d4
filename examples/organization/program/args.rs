//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::super::values::{MergerType, NaiveDate, Reason};
use super::moment::Moment;

/// Keeps organizations with their units, teams, roles and facilities, and shows them as they were at any moment.
///
/// An organization is named by its id or by its code. Exit codes: 0 when all was done, 1 when it could not be, 2 for a
/// command line that is not understood, 3 when rows of a file were left out.
#[derive(Clone, Debug, Parser)]
#[command(name = "organization", version)]
pub struct Args {
    /// The SQLite file that keeps the history [default: organization.db in the user's data directory]
    #[arg(long, value_name = "FILE", global = true)]
    pub store: Option<PathBuf>,

    /// Keep the history in the stream ORGANIZATION_EVENTS on NATS servers with JetStream instead, such as
    /// nats://127.0.0.1:4222
    #[arg(long, value_name = "URL", global = true, conflicts_with = "store")]
    pub nats: Option<String>,

    #[command(subcommand)]
    pub task: Task,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Make organizations what a CSV file says; its format is in examples/organization/README.md
    Import {
        /// The CSV file
        file: PathBuf,
        /// Import nothing when any row of the file is bad
        #[arg(long)]
        all_or_nothing: bool,
    },
    /// The chart of one organization, or of all, as they are
    Show {
        /// Its id or its code; without one, all that have not ended
        organization: Option<String>,
    },
    /// The chart of one organization, or of all, as they were
    At {
        /// A time such as 2026-01-31T12:00:00Z, or a date for its end in UTC
        time: Moment,
        /// Its id or its code
        organization: Option<String>,
    },
    /// What changed from one moment to another
    Diff {
        /// The earlier moment: a time, or a date for its end in UTC
        from: Moment,
        /// The later moment
        to: Moment,
        /// Its id or its code
        organization: Option<String>,
    },
    /// End an organization in favour of another one, which absorbs it
    Merge {
        /// The id or the code of the one that ends
        ending: String,
        /// The id or the code of the one that continues it
        survivor: String,
        /// acquisition, merger_of_equals or consolidation
        #[arg(long, value_name = "TYPE")]
        merger: MergerType,
        /// The date on which it takes effect, such as 2026-01-31
        #[arg(long, value_name = "DATE")]
        effective: NaiveDate,
    },
    /// End an organization with all of its parts
    Dissolve {
        /// Its id or its code
        organization: String,
        /// Why
        #[arg(long)]
        reason: Reason,
        /// The date on which it takes effect, such as 2026-01-31
        #[arg(long, value_name = "DATE")]
        effective: NaiveDate,
    },
    /// Who heads each unit, out of tables that are kept beside the history
    Heads {
        /// Keep the tables in this PostgreSQL database, such as postgresql://user@localhost/database, and not in the file
        /// heads.db
        #[arg(long, value_name = "URL")]
        postgres: Option<String>,
        /// The SQLite file that keeps the tables [default: heads.db in the user's data directory]
        #[arg(long, value_name = "FILE", conflicts_with = "postgres")]
        views: Option<PathBuf>,
    },
    /// Every event of an organization
    History {
        /// Its id or its code
        organization: String,
    },
}
