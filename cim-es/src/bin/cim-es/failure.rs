//! What ends the program before it is done, and what a person or a script is told.

use std::io::ErrorKind;
use std::path::Path;

use anstream::eprintln;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::meant;
use crate::output::shown;

/// Which exit status a failure has; `cim-es --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something was found that should not be.
    Findings,
    /// What was asked cannot be asked of this store.
    Usage,
    /// The store cannot be opened, reached or used.
    Store,
    /// What was to be brought in does not hold, or does not fit the store.
    Refused,
    /// Anything else, such as a file that cannot be written.
    Other,
    /// `doctor` found nothing damaged, but what should be changed.
    Advice,
    /// Somebody interrupted the program.
    Interrupted,
    /// Nobody reads the output any more, as behind `| head`: no failure at all.
    ClosedPipe,
}

/// Why the program ends before it is done.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// One sentence; empty where everything was said already.
    message: String,
    /// What to do next.
    help: Option<String>,
}

/// What a script reads on stderr.
#[derive(Serialize)]
struct Told<'a> {
    error: ErrorJson<'a>,
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    status: u8,
    kind: Kind,
    message: &'a str,
    help: Option<&'a str>,
}

impl Kind {
    /// The exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Store => 3,
            Self::Refused => 4,
            Self::Other => 5,
            Self::Advice => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Where what is wrong was printed as the answer.
    pub fn findings() -> Self {
        Self::new(Kind::Findings, "")
    }

    /// A file beside the store that cannot be read or written.
    pub fn file(what: &str, path: &Path, error: &std::io::Error) -> Self {
        let failure = Self::new(Kind::Other, format!("{what} {}: {error}", path.display()));
        failure.help_with_file(path, error.kind())
    }

    /// Says which file was probably meant, where there is none at a path.
    pub fn help_with_file(self, path: &Path, kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => match meant::near_file(path) {
                Some(near) => self.help(format!("did you mean `{}`?", near.display())),
                None => self.help("look whether the path is right"),
            },
            _ => self,
        }
    }

    /// Says what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says nothing of what to do next.
    pub fn without_help(mut self) -> Self {
        self.help = None;
        self
    }

    /// Says in front of everything what it is about.
    pub fn about(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Whether a word stands in it.
    pub fn says(&self, word: &str) -> bool {
        self.message.contains(word)
    }

    /// Tells it on stderr: a person in words, a script as one object on a line.
    pub fn print(&self, json: bool) {
        if self.message.is_empty() {
            return;
        }
        if json {
            let told = Told {
                error: ErrorJson {
                    status: self.kind.code(),
                    kind: self.kind,
                    message: &self.message,
                    help: self.help.as_deref(),
                },
            };
            // A struct of texts and numbers is always JSON.
            if let Ok(line) = serde_json::to_string(&told) {
                eprintln!("{line}");
            }
            return;
        }
        let bold = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
        let (error, help) = (bold(AnsiColor::Red), bold(AnsiColor::Cyan));
        eprintln!("{error}error:{error:#} {}", shown(&self.message));
        if let Some(text) = &self.help {
            eprintln!("{help} help:{help:#} {}", shown(text));
        }
    }

    /// The same as a remark, where the program goes on.
    pub fn as_note(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }
}
