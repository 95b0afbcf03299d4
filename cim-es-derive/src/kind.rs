//! The kind of an aggregate, `<domain>.<name>`: its present one, and the others that a declaration names.

use syn::{Lit, LitStr};

use crate::ctxt::Ctxt;
use crate::names;

/// Reads `<domain>.<name>` of an aggregate.
pub(crate) fn read(ctxt: &Ctxt, lit: Lit) -> Option<LitStr> {
    let kind = names::tokens(ctxt, lit, "kind", 2)?;
    refuse_reserved(ctxt, &kind);
    Some(kind)
}

/// The first token of a public subject must not be one of the store's or the server's own.
pub(crate) fn refuse_reserved(ctxt: &Ctxt, domain: &LitStr) {
    let value = domain.value();
    let first = value.split('.').next().unwrap_or_default();
    if first == "es" {
        ctxt.error(
            domain,
            "a domain cannot begin with `es`: events are stored under that token",
        );
    } else if first.starts_with('_') {
        ctxt.error(
            domain,
            format!("a domain cannot begin with `{first}`: tokens with `_` in front are the server's own"),
        );
    }
}

/// A kind is this aggregate's own, a former one of it, or another aggregate's.
pub(crate) fn refuse_repeated(ctxt: &Ctxt, own: &str, was: &[LitStr], shares_ids_with: &[LitStr]) {
    let mut known = vec![(own.to_owned(), "the aggregate's present name")];
    let former = was
        .iter()
        .map(|kind| (kind, "a former name of the aggregate"));
    let others = shares_ids_with
        .iter()
        .map(|kind| (kind, "another aggregate that may have its ids"));
    for (kind, what) in former.chain(others) {
        let text = kind.value();
        if let Some((_, is)) = known.iter().find(|(other, _)| *other == text) {
            ctxt.error(kind, format!("`{text}` is {is} already: remove it here"));
        }
        known.push((text, what));
    }
}

/// The domain in a former kind. A text does not show where the name begins: when the present domain or the present name
/// is in it, that says it; else the domain has as many tokens as the present one, and the name one at least.
pub(crate) fn domain_of(domain: &str, name: &str, kind: &str) -> String {
    if kind.starts_with(&format!("{domain}.")) {
        return domain.to_owned();
    }
    if let Some(domain) = kind.strip_suffix(&format!(".{name}")) {
        return domain.to_owned();
    }
    let tokens: Vec<&str> = kind.split('.').collect();
    let count = domain.split('.').count().min(tokens.len() - 1);
    tokens[..count].join(".")
}
