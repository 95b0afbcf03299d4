//! Addresses of servers.

/// What may stand for `://` where somebody forgot a stroke: what is behind it may still be a login.
const MISSPELT: [&str; 2] = ["nats:/", "tls:/"];

/// An address taken apart, be it right or wrong.
struct Address<'a> {
    /// With what ends it; empty where there is none.
    scheme: &'a str,
    /// Behind a user and a password, which are left out.
    host: &'a str,
    /// What follows the last `:` of what is not in brackets.
    port: Option<&'a str>,
}

impl<'a> Address<'a> {
    fn of(address: &'a str) -> Self {
        let end = match address.find("://") {
            Some(at) => at + "://".len(),
            None => {
                let mut misspelt = MISSPELT.iter();
                let found = misspelt.find(|scheme| address.starts_with(**scheme));
                found.map_or(0, |scheme| scheme.len())
            }
        };
        let (scheme, rest) = address.split_at(end);
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        Self { scheme, host, port }
    }
}

/// An address without the user and the password that may stand in it, also where the host behind them was forgotten and the
/// password stands in the place of a port.
pub(crate) fn without_login(address: &str) -> String {
    let Address { scheme, host, port } = Address::of(address);
    match port {
        None => format!("{scheme}{host}"),
        // Meant as a port, if a wrong one.
        Some(port) if port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{scheme}{host}:{port}")
        }
        Some(_) => format!("{scheme}{host}:***"),
    }
}

/// What is wrong with an address, in words and without its login.
pub(super) fn check(address: &str) -> Result<(), String> {
    let expected = |what: &str| {
        let shown = without_login(address);
        Err(format!(
            "`{shown}` {what}; an address is such as nats://127.0.0.1:4222, or tls://nats.example.com"
        ))
    };
    if address.trim().is_empty() {
        return Err("an address is empty: give one such as nats://127.0.0.1:4222".to_owned());
    }
    if address.contains(char::is_whitespace) {
        return expected("has a space in it");
    }
    let Address { scheme, host, port } = Address::of(address);
    match scheme {
        "nats://" | "tls://" => {}
        "ws://" | "wss://" => {
            return expected(
                "is for WebSocket, which this client does not speak: give the server's address for clients",
            );
        }
        "" if !address.contains('/') => {}
        _ => match scheme.strip_suffix("://") {
            Some(unknown) => {
                return expected(&format!("begins with `{unknown}`, which is unknown"));
            }
            None => return expected("lacks `//` behind its scheme"),
        },
    }
    if [host, port.unwrap_or("")]
        .iter()
        .any(|part| part.contains(['/', '?', '#']))
    {
        return expected("has something behind the port");
    }
    let name = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
        Some(Some(name)) => name,
        Some(None) => return expected("lacks the `]` behind an IPv6 address"),
        None if host.contains(':') => {
            return expected("has more than one `:`: an IPv6 address stands in brackets");
        }
        None => host,
    };
    if name.is_empty() {
        return expected("names no host");
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(_) => expected("has no port from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_scheme_a_host_and_a_port() {
        for address in [
            "nats://127.0.0.1:4222",
            "nats://one",
            "one:4222",
            "one",
            "tls://nats.example.com",
            "nats://[::1]:4222",
            "nats://[::1]",
            "nats://me:p%40ss@one:4222",
            "nats://one:4222/",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_login() {
        for (address, reason) in [
            ("", "empty"),
            ("  ", "empty"),
            ("nats:/host", "lacks `//`"),
            ("nats://", "no host"),
            ("nats://:4222", "no host"),
            (
                "nats://host:99999",
                "`nats://host:99999` has no port from 1 to 65535",
            ),
            ("nats://host:0", "has no port"),
            ("nats://host:", "has no port"),
            ("ws://host:80", "WebSocket"),
            ("wss://host", "WebSocket"),
            ("http://host", "begins with `http`"),
            ("nats://a b", "a space"),
            ("nats://::1:4222", "brackets"),
            ("nats://[::1", "lacks the `]`"),
            ("nats://host:4222/path", "behind the port"),
            ("nats://me:hunter2@host:99999", "`nats://host:99999`"),
            ("nats://me:hunter2", "has no port"),
            ("nats:/me:hunter2@host", "`nats:/host` lacks `//`"),
            ("one/two", "lacks `//`"),
            ("nats://[]:4222", "no host"),
            ("nats://me:hunter2@[::1]x:4222", "lacks the `]`"),
        ] {
            let found = check(address).unwrap_err();
            assert!(found.contains(reason), "{address}: {found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_but_for_its_login() {
        for (address, shown) in [
            ("nats://one:4222", "nats://one:4222"),
            ("nats://me:hunter2@one:4222/", "nats://one:4222"),
            ("me:hunter2@one", "one"),
            ("nats://me:hunter2@[::1]", "nats://[::1]"),
            ("nats://me:hunter2@[::1]:4222", "nats://[::1]:4222"),
            ("nats:/me:hunter2@one", "nats:/one"),
            ("nats://me:hunter2", "nats://me:***"),
            ("me:hunter2", "me:***"),
            ("nats://one:99999", "nats://one:99999"),
        ] {
            assert_eq!(without_login(address), shown, "{address}");
        }
    }
}
