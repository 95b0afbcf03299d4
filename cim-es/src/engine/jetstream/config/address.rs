//! Addresses of servers.

use super::secret::without_login;

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
    let rest = match address.split_once("://") {
        Some(("nats" | "tls", rest)) => rest,
        Some(("ws" | "wss", _)) => {
            return expected(
                "is for WebSocket, which this client does not speak: give the server's address for clients",
            );
        }
        Some((scheme, _)) => return expected(&format!("begins with `{scheme}`, which is unknown")),
        None if address.contains('/') => return expected("lacks `//` behind its scheme"),
        None => address,
    };
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains(['/', '?', '#']) {
        return expected("has something behind the port");
    }
    let (host, port) = match place.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, port))) => (host, Some(port.strip_prefix(':').unwrap_or(""))),
        Some(None) => return expected("lacks the `]` behind an IPv6 address"),
        None if place.matches(':').count() > 1 => {
            return expected("has more than one `:`: an IPv6 address stands in brackets");
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
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
        ] {
            let found = check(address).unwrap_err();
            assert!(found.contains(reason), "{address}: {found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }
}
