//! One thing that was found wrong with the servers or the stream.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Should be changed.
    Warning,
    /// Events could be lost, or the store cannot work: a store does not open with it.
    Danger,
}

/// One thing that was found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The setting or the fact, by the name that the server's configuration gives it; for programs.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What it leads to, and what to do.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            about,
            found,
            expected,
            advice,
            ..
        } = self;
        write!(f, "`{about}` is {found}, expected {expected}: {advice}")
    }
}
