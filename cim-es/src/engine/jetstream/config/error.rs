//! What can be wrong with a configuration.

/// What can be wrong with a configuration: which key, where, and what to do. It never repeats a value, which may be
/// a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    File {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The text is not TOML.
    #[error("line {line} is not TOML: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is no such key.
    #[error("there is no key `{key}`{}", suggest(.suggestion))]
    UnknownKey {
        /// The key as it was written: `tls.ca_cert`, or the name of an environment variable.
        key: String,
        /// The nearest key that there is.
        suggestion: Option<String>,
    },
    /// A value is not what its key takes.
    #[error("`{key}`: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// What is expected.
        reason: String,
    },
    /// Two keys exclude each other, or one needs another.
    #[error("{reason}")]
    Contradiction {
        /// Which keys, and what to do.
        reason: String,
    },
}

fn suggest(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(key) => format!("; did you mean `{key}`?"),
        None => "; the documentation of NatsConfig lists them".to_owned(),
    }
}

impl ConfigError {
    pub(super) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn contradiction(reason: impl Into<String>) -> Self {
        Self::Contradiction {
            reason: reason.into(),
        }
    }
}
