//! How a client logs in.

use std::path::Path;

use async_nats::{ConnectOptions, ServerAddr};

use super::ConnectError;
use super::tls::{read, unusable};
use crate::engine::jetstream::config::without_login;
use crate::engine::jetstream::config::{ConfigError, NatsAuth, NatsConfig, Secret};

/// Addresses, and the login that stands in one of them or in the configuration.
pub(super) fn addresses(config: &NatsConfig) -> Result<(Vec<ServerAddr>, NatsAuth), ConnectError> {
    let mut addresses = Vec::new();
    let mut auth = config.auth.clone();
    for server in &config.servers {
        let parse = |text: &str| {
            text.parse::<ServerAddr>()
                .map_err(|_| ConfigError::Invalid {
                    key: "servers".to_owned(),
                    reason: format!(
                        "`{}` is not an address such as nats://127.0.0.1:4222",
                        without_login(server)
                    ),
                })
        };
        let found = login_in(&parse(server)?);
        if found != NatsAuth::None {
            if auth != NatsAuth::None && auth != found {
                return Err(ConfigError::Contradiction {
                    reason: format!(
                        "the address `{}` holds another login than the rest of the configuration: keep one",
                        without_login(server)
                    ),
                }
                .into());
            }
            auth = found;
        }
        addresses.push(parse(&without_login(server))?);
    }
    Ok((addresses, auth))
}

fn login_in(address: &ServerAddr) -> NatsAuth {
    match (address.username(), address.password()) {
        (Some(user), Some(password)) => NatsAuth::UserPassword {
            user: decode(user),
            password: decode(password).into(),
        },
        (Some(token), None) => NatsAuth::Token(decode(token).into()),
        (None, _) => NatsAuth::None,
    }
}

/// Takes back the `%XX` that characters with a meaning of their own have in an address.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) if bytes[at] == b'%' => {
                decoded.push(code);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Which keys a login stands under; for messages, which never hold its values.
pub(super) fn name(auth: &NatsAuth) -> &'static str {
    match auth {
        NatsAuth::None => "a program that does not log in",
        NatsAuth::Credentials(_) => "the login in `credentials`",
        NatsAuth::UserPassword { .. } => "`user` and `password`",
        NatsAuth::Token(_) => "`token`",
        NatsAuth::Nkey(_) => "`nkey`",
    }
}

/// Options of the client that log in.
pub(super) fn options(auth: &NatsAuth) -> Result<ConnectOptions, ConnectError> {
    let options = ConnectOptions::new();
    Ok(match auth {
        NatsAuth::None => options,
        NatsAuth::Credentials(file) => {
            let bytes = read("credentials", file)?;
            let text = String::from_utf8_lossy(&bytes);
            options.credentials(&text).map_err(|_| {
                let reason = "it does not hold a user's JWT and seed, as `nsc` writes them";
                unusable("credentials", file, reason.to_owned())
            })?
        }
        NatsAuth::UserPassword { user, password } => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        NatsAuth::Token(token) => options.token(token.reveal().to_owned()),
        NatsAuth::Nkey(nkey) => options.nkey(seed(nkey)?),
    })
}

fn seed(nkey: &Secret) -> Result<String, ConnectError> {
    let text = nkey.reveal().trim();
    if text.starts_with("SU") && !text.contains(['/', '.']) {
        return Ok(text.to_owned());
    }
    let file = Path::new(text);
    let bytes = std::fs::read(file).map_err(|error| ConfigError::Invalid {
        key: "nkey".to_owned(),
        reason: format!(
            "neither a user's seed, which starts with SU, nor a file that can be read: {error}"
        ),
    })?;
    let seed = String::from_utf8_lossy(&bytes).trim().to_owned();
    if seed.starts_with("SU") {
        return Ok(seed);
    }
    Err(unusable(
        "nkey",
        file,
        "it does not hold a user's seed, which starts with SU".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_an_address_counts_as_user_and_password() {
        let config = NatsConfig::new(["nats://me:p%40ss@one:4222", "nats://two:4222"]);
        let (addresses, auth) = addresses(&config).unwrap();
        assert_eq!(
            auth,
            NatsConfig::default().user_and_password("me", "p@ss").auth
        );
        let shown: Vec<_> = addresses.iter().map(ServerAddr::as_url_str).collect();
        assert_eq!(shown, ["nats://one:4222", "nats://two:4222"]);
    }

    #[test]
    fn two_logins_are_refused_without_showing_either() {
        let config = NatsConfig::new(["nats://me:hunter2@one"]).token("hunter3");
        let error = addresses(&config).unwrap_err().to_string();
        assert!(
            error.contains("nats://one") && !error.contains("hunter"),
            "{error}"
        );
        let config = NatsConfig::new(["http://me:hunter2@one"]);
        let error = addresses(&config).unwrap_err().to_string();
        assert!(
            error.contains("http://one") && !error.contains("hunter"),
            "{error}"
        );
    }
}
