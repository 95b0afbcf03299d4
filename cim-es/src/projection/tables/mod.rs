//! Views in tables of the author's own: what an author declares, and how such a view is asked.

mod open;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_reader;
#[cfg(feature = "sqlite")]
mod reader;
#[cfg(feature = "sqlite")]
mod sqlite;
mod work;

pub use open::OpenTables;
#[cfg(feature = "postgres")]
pub use postgres::{InPostgresTables, PostgresTables, ProjectPostgresTables};
#[cfg(feature = "postgres")]
pub use postgres_reader::{PostgresTablesReader, PostgresTablesSnapshot, PostgresTablesView};
#[cfg(feature = "sqlite")]
pub use reader::{TablesReader, TablesView};
#[cfg(feature = "sqlite")]
pub use sqlite::{InTables, ProjectTables, Tables};
#[cfg(feature = "sqlite")]
pub(super) use {sqlite::take, work::NotTaken};
