//! The users of the sample permissions.

use async_nats::{Client, ConnectOptions};

/// A user of `deploy/nats/permissions.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Creates and changes streams.
    Operator,
    /// Appends events of the domain `infrastructure`, and reads.
    Writer,
    /// Reads and subscribes.
    Reader,
    /// Looks after the servers, in an account without streams.
    System,
}

impl User {
    pub(super) const ALL: [Self; 4] = [Self::Operator, Self::Writer, Self::Reader, Self::System];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::System => "system",
        }
    }

    /// The password that the tests give it.
    pub fn password(self) -> String {
        format!("{}-password", self.name())
    }

    /// What a client needs to connect as this user.
    pub fn options(self) -> ConnectOptions {
        ConnectOptions::with_user_and_password(self.name().to_owned(), self.password())
    }

    pub(super) async fn connect(self, urls: Vec<String>) -> Client {
        let client = self.options().connect(urls.clone()).await;
        client.unwrap_or_else(|error| panic!("{} cannot connect to {urls:?}: {error}", self.name()))
    }

    pub(super) fn variable(self) -> String {
        format!("{}_PASSWORD", self.name().to_uppercase())
    }
}
