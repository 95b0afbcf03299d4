//! A text that never shows.

use std::fmt;

/// A password, a token or a seed: it is passed on to the servers and never shown, also not by `Debug`.
///
/// ```
/// use cim_es::jetstream::Secret;
///
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "***");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into keeping.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// An address without the user and the password that may stand in it, also where the host behind them was forgotten and the
/// password stands in the place of a port.
pub(crate) fn without_login(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => {
            let mut schemes = ["nats:/", "tls:/"].into_iter();
            let found = schemes.find_map(|scheme| Some((scheme, address.strip_prefix(scheme)?)));
            let found = found.unwrap_or(("", address));
            (found.0.to_owned(), found.1)
        }
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && !is_number(port) => {
            format!("{scheme}{name}:***")
        }
        _ => format!("{scheme}{host}"),
    }
}

/// Whether a text is meant as a port, if a wrong one.
fn is_number(port: &str) -> bool {
    port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}
