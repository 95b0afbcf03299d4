//! Why there is no connection, and what a server does not permit.

use std::sync::Arc;

use crate::engine::jetstream::config::ConfigError;
use crate::store::denied::{Action, PermissionDenied};

/// Why there is no connection: what was wrong, where, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration does not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that the configuration names cannot be used.
    #[error("`{key}`: {file} cannot be used: {reason}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No server answers.
    #[error("no server answers at {servers}: {reason}; is one running there?")]
    Unreachable {
        /// The addresses.
        servers: String,
        /// What the system said of the last of them.
        reason: String,
    },
    /// The server's certificate is not signed by an authority that the program trusts.
    #[error(
        "the certificate of the server at {servers} is not trusted: {reason}; `tls.ca_cert` must hold the authority that \
         signed it"
    )]
    ServerNotTrusted {
        /// The addresses.
        servers: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The server's certificate has expired.
    #[error(
        "the certificate of the server at {servers} has expired: {reason}; renew it on the server"
    )]
    ServerCertificateExpired {
        /// The addresses.
        servers: String,
        /// When.
        reason: String,
    },
    /// The server does not accept the program's certificate, or asks for one that the program does not have.
    #[error(
        "the server at {servers} does not accept the program's certificate: {reason}; `tls.client_cert` must be valid \
         and signed by an authority that the server trusts"
    )]
    CertificateRefused {
        /// The addresses.
        servers: String,
        /// What the server said.
        reason: String,
    },
    /// The program's certificate has expired.
    #[error(
        "the certificate in `tls.client_cert` has expired, says the server at {servers}; renew it"
    )]
    CertificateExpired {
        /// The addresses.
        servers: String,
    },
    /// The server speaks no version of TLS that is accepted here.
    #[error(
        "the server at {servers} does not speak TLS 1.3, and nothing older is accepted: update the server, or let it offer 1.3"
    )]
    TlsTooOld {
        /// The addresses.
        servers: String,
    },
    /// TLS failed in another way.
    #[error("TLS with {servers} failed: {reason}; the server must offer TLS 1.3")]
    Tls {
        /// The addresses.
        servers: String,
        /// What failed.
        reason: String,
    },
    /// The server does not accept the login.
    #[error(
        "the server at {servers} does not accept {login}: check it, and that its account and user still exist"
    )]
    LoginRefused {
        /// The addresses.
        servers: String,
        /// The keys of the login; never their values.
        login: &'static str,
    },
    /// The connection was lost, and given up after the configured number of attempts.
    #[error(
        "the connection to {servers} was lost and given up after {attempts} attempts to connect again; connect anew, or \
         raise `max_reconnects`"
    )]
    GivenUp {
        /// The addresses.
        servers: String,
        /// The number of attempts.
        attempts: usize,
    },
    /// The runtime that the connection was made on has ended, and the connection with it.
    #[error(
        "the connection to {servers} ended with the runtime that it was made on: keep that runtime as long as the stores, or \
         connect anew on this one"
    )]
    RuntimeEnded {
        /// The addresses.
        servers: String,
    },
    /// The connection was closed by the program itself.
    #[error("the connection is closed")]
    Closed,
    /// The account has no JetStream.
    #[error(
        "there is no JetStream at {servers}: start the server with `-js`, or with `jetstream` in its configuration, and \
         enable it for the account that {login} belongs to"
    )]
    NoJetStream {
        /// The addresses.
        servers: String,
        /// The keys of the login; never their values.
        login: &'static str,
    },
    /// The client failed in another way.
    #[error("connecting to {servers} failed")]
    Client {
        /// The addresses.
        servers: String,
        /// What the client said.
        source: Arc<async_nats::ConnectError>,
    },
}

impl PermissionDenied {
    /// From the server's words: `Permissions Violation for Publish to "subject"`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix("permissions violation for ")?;
        let action = if rest.starts_with("publish") {
            Action::Publish
        } else {
            Action::Subscribe
        };
        let subject = text.split('"').nth(1)?.to_owned();
        Some(Self { action, subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_tell_what_it_did_not_permit() {
        let publish =
            PermissionDenied::parse("Permissions Violation for Publish to \"es.00.A.x\"").unwrap();
        assert_eq!(
            (publish.action, publish.subject.as_str()),
            (Action::Publish, "es.00.A.x")
        );
        let text = "Permissions Violation for Subscription to \"es.>\" using queue \"q\"";
        let subscribe = PermissionDenied::parse(text).unwrap();
        assert_eq!(
            (subscribe.action, subscribe.subject.as_str()),
            (Action::Subscribe, "es.>")
        );
        assert_eq!(PermissionDenied::parse("Stale Connection"), None);
    }
}
