//! What a server does not permit a program.

/// What a server did not permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To publish, which every request is too.
    Publish,
    /// To subscribe.
    Subscribe,
}

/// A server did not permit something; a client alone sees only an answer that never comes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server does not permit this user to {} `{subject}`: an operator can allow it",
    match .action { Action::Publish => "publish on", Action::Subscribe => "subscribe to" }
)]
pub struct PermissionDenied {
    /// What it did not permit.
    pub action: Action,
    /// The subject.
    pub subject: String,
}
