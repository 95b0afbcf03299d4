//! Certificates for TLS.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// An authority that signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority; two with one name differ in their keys.
    pub fn new(name: &str) -> Self {
        let mut params = params(name, Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("{name}: {error}"));
        let certificate = params
            .self_signed(&key)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            certificate: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server at 127.0.0.1, or for a client, valid until the end of a year.
    pub fn sign(&self, name: &str, last_year: i32) -> Certificate {
        let mut params = params(name, vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
        params.not_after = date_time_ymd(last_year, 12, 31);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("{name}: {error}"));
        let certificate = params
            .signed_by(&key, &self.issuer)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Certificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn params(name: &str, alternative_names: Vec<String>) -> CertificateParams {
    let mut params =
        CertificateParams::new(alternative_names).unwrap_or_else(|error| panic!("{name}: {error}"));
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 12, 31);
    params
}
