//! What an author's SQL may do on the connection of the storage.
//!
//! A projection works in a transaction that is not its own, in a file with other views. SQLite asks before it prepares a
//! statement, so one that would end the transaction, or change something else than the tables of the view, is refused with
//! a sentence, before anything is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Whose statements a connection prepares; shared with SQLite, which asks.
#[derive(Clone, Default)]
pub(in crate::engine::sqlite) struct Guard(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    work: Work,
    refused: Option<String>,
}

#[derive(Default)]
enum Work {
    /// The storage's own.
    #[default]
    Own,
    /// The text that declares the tables whose names begin so.
    Declares(String),
    /// A projection into the tables whose names begin so.
    Projects(String),
}

/// Until it is dropped, statements are an author's.
pub(super) struct Guarded<'a>(&'a Guard);

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        *self.0.state() = State::default();
    }
}

impl Guard {
    /// Has SQLite ask, from now on, before it prepares a statement.
    pub(in crate::engine::sqlite) fn install(
        connection: &mut Connection,
    ) -> rusqlite::Result<Self> {
        let guard = Self::default();
        let asked = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let mut state = asked.state();
            match state.work.refusal(&context.action) {
                None => Authorization::Allow,
                Some(reason) => {
                    state.refused.get_or_insert(reason);
                    Authorization::Deny
                }
            }
        }))?;
        Ok(guard)
    }

    /// What follows is the text that declares tables.
    pub(super) fn declares(&self, prefix: String) -> Guarded<'_> {
        self.state().work = Work::Declares(prefix);
        Guarded(self)
    }

    /// What follows is a projection.
    pub(super) fn projects(&self, prefix: String) -> Guarded<'_> {
        self.state().work = Work::Projects(prefix);
        Guarded(self)
    }

    /// Why the last statement was refused, where it was.
    pub(super) fn take_refusal(&self) -> Option<String> {
        self.state().refused.take()
    }

    // Nothing that can panic is done under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pragmas that ask.
const QUESTIONS: [&str; 8] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];

impl Work {
    fn refusal(&self, action: &AuthAction<'_>) -> Option<String> {
        let (prefix, declares) = match self {
            Self::Own => return None,
            Self::Declares(prefix) => (prefix, true),
            Self::Projects(prefix) => (prefix, false),
        };
        let is_own = |name: &str| name.starts_with(prefix);
        // What SQLite keeps for itself, which no statement writes.
        let is_sqlites = |name: &str| name.starts_with("sqlite_");
        match action {
            AuthAction::Select
            | AuthAction::Read { .. }
            | AuthAction::Function { .. }
            | AuthAction::Recursive
            | AuthAction::Savepoint { .. } => None,
            AuthAction::Pragma {
                pragma_name,
                pragma_value,
            } if pragma_value.is_none() || QUESTIONS.contains(pragma_name) => None,
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name } => {
                let is_allowed = is_own(table_name) || is_sqlites(table_name);
                (!is_allowed).then(|| {
                    format!("it writes to `{table_name}`, which is not a table of this view; write to those that it declares")
                })
            }
            AuthAction::CreateTable { table_name }
            | AuthAction::CreateVtable { table_name, .. }
                if declares =>
            {
                let is_allowed = is_own(table_name) || is_sqlites(table_name);
                (!is_allowed).then(|| without_braces("table", table_name))
            }
            AuthAction::CreateIndex {
                index_name,
                table_name,
            } if declares => {
                if !is_own(table_name) {
                    return Some(format!("it makes an index on `{table_name}`, which is not a table of this view"));
                }
                let is_allowed = is_own(index_name) || is_sqlites(index_name);
                (!is_allowed).then(|| without_braces("index", index_name))
            }
            AuthAction::Reindex { .. } if declares => None,
            AuthAction::Transaction { .. } => Some(
                "the transaction is begun and ended with the position of the view; leave that out".to_owned(),
            ),
            AuthAction::Pragma { .. } | AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
                Some("the connection is that of the storage, and stays as it is".to_owned())
            }
            _ if declares => Some(
                "the tables of a view are declared by `CREATE TABLE {…}` and `CREATE INDEX {…} ON {…}`, and by nothing else"
                    .to_owned(),
            ),
            _ => Some(
                "a projection writes rows; what is declared is changed in the declaration, with the version of the view raised"
                    .to_owned(),
            ),
        }
    }
}

fn without_braces(kind: &str, name: &str) -> String {
    format!(
        "{kind} `{name}` is not named for the version of the view: write `{{{name}}}` with the braces"
    )
}
