//! TLS 1.3 with the certificates that a configuration names.

use std::path::Path;
use std::sync::Arc;

use async_nats::rustls::pki_types::pem::{self, PemObject};
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::{ClientConfig, RootCertStore, crypto, version};

use super::ConnectError;
use crate::engine::jetstream::config::TlsConfig;

/// What the client needs to talk TLS; also for servers that ask for it when the configuration does not.
pub(super) fn client_config(config: &TlsConfig) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| ConnectError::Tls {
            servers: "any server".to_owned(),
            reason: error.to_string(),
        })?
        .with_root_certificates(authorities(config.ca_cert.as_deref())?);
    let (Some(certificate), Some(key)) = (&config.client_cert, &config.client_key) else {
        return Ok(builder.with_no_client_auth());
    };
    let certificates = certificates("tls.client_cert", certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&read("tls.client_key", key)?)
        .map_err(|error| unusable("tls.client_key", key, pem_reason(&error)))?;
    builder
        .with_client_auth_cert(certificates, private)
        .map_err(|error| unusable("tls.client_key", key, error.to_string()))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, ConnectError> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        // A system without authorities trusts no server; that shows when one is asked.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    for certificate in certificates("tls.ca_cert", file)? {
        store
            .add(certificate)
            .map_err(|error| unusable("tls.ca_cert", file, error.to_string()))?;
    }
    Ok(store)
}

fn certificates(
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let bytes = read(key, file)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let parsed = parsed.map_err(|error| unusable(key, file, pem_reason(&error)))?;
    if parsed.is_empty() {
        return Err(unusable(
            key,
            file,
            "it holds no certificate in PEM".to_owned(),
        ));
    }
    Ok(parsed)
}

pub(super) fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(file).map_err(|error| unusable(key, file, error.to_string()))
}

pub(super) fn unusable(key: &'static str, file: &Path, reason: String) -> ConnectError {
    ConnectError::File {
        key,
        file: file.display().to_string(),
        reason,
    }
}

/// Never the error's own text alone: it may repeat what stands in the file.
fn pem_reason(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "it holds nothing of that kind in PEM".to_owned(),
        _ => "it is not PEM".to_owned(),
    }
}
