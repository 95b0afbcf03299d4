//! What a client's failure to connect means.

use std::error::Error;
use std::io;
use std::sync::Arc;

use async_nats::ConnectErrorKind;
use async_nats::rustls::{self, AlertDescription, CertificateError, PeerIncompatible};

use super::ConnectError;

/// What the failure means. With TLS, a server that closes the connection without a word does not like the program's
/// certificate.
pub(super) fn classify(
    error: async_nats::ConnectError,
    servers: String,
    login: &'static str,
    uses_tls: bool,
) -> ConnectError {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            return ConnectError::LoginRefused { servers, login };
        }
        ConnectErrorKind::TimedOut => {
            let reason = "no answer within `connection_timeout`".to_owned();
            return ConnectError::Unreachable { servers, reason };
        }
        ConnectErrorKind::Dns => {
            let reason = error.to_string();
            return ConnectError::Unreachable { servers, reason };
        }
        _ => {}
    }
    if let Some(tls) = find::<rustls::Error>(&error) {
        return classify_tls(tls, servers);
    }
    let Some(io) = find::<io::Error>(&error) else {
        // "User Authentication Expired", "Account Authentication Expired" and the like.
        if error.to_string().to_lowercase().contains("authentication") {
            return ConnectError::LoginRefused { servers, login };
        }
        if uses_tls {
            return closed(servers, error.to_string());
        }
        let source = Arc::new(error);
        return ConnectError::Client { servers, source };
    };
    match io.kind() {
        // The server refuses a certificate after the handshake; its words are lost when it closes too soon.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
            if uses_tls =>
        {
            closed(servers, io.to_string())
        }
        _ => ConnectError::Unreachable {
            servers,
            reason: io.to_string(),
        },
    }
}

fn closed(servers: String, reason: String) -> ConnectError {
    ConnectError::CertificateRefused {
        servers,
        reason: format!("it closed the connection after the handshake ({reason})"),
    }
}

fn classify_tls(error: &rustls::Error, servers: String) -> ConnectError {
    let reason = error.to_string();
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => ConnectError::ServerCertificateExpired { servers, reason },
        rustls::Error::InvalidCertificate(_) => ConnectError::ServerNotTrusted { servers, reason },
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            ConnectError::CertificateExpired { servers }
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => ConnectError::TlsTooOld { servers },
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => ConnectError::CertificateRefused { servers, reason },
        _ => ConnectError::Tls { servers, reason },
    }
}

/// The first error of a type in a chain, also inside of I/O errors, which do not name it as their source.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
