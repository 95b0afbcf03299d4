//! Operators, accounts and users that are JWTs, signed with nkeys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator: who signs accounts.
pub struct Operator {
    key: KeyPair,
    system: Account,
}

/// An account: who signs users.
pub struct Account {
    key: KeyPair,
    jwt: String,
}

impl Operator {
    /// A new operator, with an account for its system.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let key = KeyPair::new_operator();
        let system = account(&key, "SYSTEM", 0);
        Self { key, system }
    }

    /// An account, with JetStream or without.
    pub fn account(&self, name: &str, has_jetstream: bool) -> Account {
        account(&self.key, name, if has_jetstream { -1 } else { 0 })
    }

    /// What a server has to know: the contents of `site-jwt.conf`.
    pub fn configuration(&self, accounts: &[&Account]) -> String {
        let operator = json!({ "type": "operator", "version": 2 });
        let operator = sign(&self.key, &self.key, "operator", operator, None);
        let mut text = format!("operator: {operator}\nresolver: MEMORY\n");
        text += &format!("system_account: {}\n", self.system.key.public_key());
        text += "resolver_preload: {\n";
        for account in accounts.iter().copied().chain([&self.system]) {
            text += &format!("  {}: {}\n", account.key.public_key(), account.jwt);
        }
        text + "}\n"
    }
}

impl Account {
    /// A file with the credentials of a user who may publish and subscribe on some subjects, until a time in seconds since
    /// 1970 if one is given.
    pub fn user(
        &self,
        name: &str,
        publish: &[&str],
        subscribe: &[&str],
        until: Option<u64>,
    ) -> String {
        let key = KeyPair::new_user();
        let claims = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": { "allow": publish }, "sub": { "allow": subscribe },
        });
        let jwt = sign(&self.key, &key, name, claims, until);
        let seed = key.seed().unwrap_or_else(|error| panic!("{name}: {error}"));
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

fn account(operator: &KeyPair, name: &str, limit: i64) -> Account {
    let key = KeyPair::new_account();
    let claims = json!({
        "type": "account", "version": 2,
        "default_permissions": { "pub": {}, "sub": {} },
        "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": limit, "disk_storage": limit, "streams": limit, "consumer": limit,
        },
    });
    let jwt = sign(operator, &key, name, claims, None);
    Account { key, jwt }
}

fn sign(
    issuer: &KeyPair,
    subject: &KeyPair,
    name: &str,
    nats: Value,
    until: Option<u64>,
) -> String {
    let mut claims = json!({
        "jti": subject.public_key(), "iat": 1_600_000_000, "iss": issuer.public_key(),
        "sub": subject.public_key(), "name": name, "nats": nats,
    });
    if let Some(until) = until {
        claims["exp"] = until.into();
    }
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encode(&header), encode(&claims));
    let signature = issuer
        .sign(text.as_bytes())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
