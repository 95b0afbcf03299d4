//! Refuses the attributes of serde that change how an enum is encoded: a payload is the plain map of one variant's
//! fields, and the type that says which variant it is stands in the envelope.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{Attribute, Meta};

use crate::ctxt::Ctxt;
use crate::names;

const ON_ENUM: &[&str] = &[
    "tag",
    "content",
    "untagged",
    "from",
    "into",
    "try_from",
    "remote",
    "transparent",
    "field_identifier",
    "variant_identifier",
];
const ON_VARIANT: &[&str] = &[
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "other",
    "untagged",
    "with",
    "serialize_with",
    "deserialize_with",
];
const ON_FIELD: &[&str] = &["skip", "skip_serializing", "skip_deserializing"];

pub(crate) fn refuse_on_enum(ctxt: &Ctxt, attrs: &[Attribute]) {
    for key in keys(attrs, ON_ENUM) {
        let name = names::text(&key);
        ctxt.error(
            key,
            format!(
                "`#[serde({name})]` changes how the enum is encoded, and a stored payload is the plain map of one \
                 variant's fields: remove it"
            ),
        );
    }
}

pub(crate) fn refuse_on_variant(ctxt: &Ctxt, attrs: &[Attribute]) {
    for key in keys(attrs, ON_VARIANT) {
        let name = names::text(&key);
        ctxt.error(
            key,
            format!("`#[serde({name})]` would keep this event from being stored and read again: remove it"),
        );
    }
}

/// What happened is a fact: each field of it is stored, and read again.
pub(crate) fn refuse_on_field(ctxt: &Ctxt, attrs: &[Attribute]) {
    for key in keys(attrs, ON_FIELD) {
        let name = names::text(&key);
        let fate = if key == "skip_deserializing" {
            "ignored when the event is read"
        } else {
            "missing in the stored event"
        };
        ctxt.error(
            key,
            format!(
                "`#[serde({name})]` makes this field {fate}, so its value is lost: remove it, or move the field out of \
                 the event"
            ),
        );
    }
}

/// The keys of `#[serde(…)]` that are among those refused.
fn keys(attrs: &[Attribute], refused: &[&str]) -> Vec<Ident> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("serde"))
        .filter_map(|attr| match &attr.meta {
            Meta::List(list) => Some(list.tokens.clone()),
            _ => None,
        })
        .flat_map(first_of_each)
        .filter(|key| refused.iter().any(|name| key == name))
        .collect()
}

/// The identifier with which each part of a list begins.
fn first_of_each(list: TokenStream) -> Vec<Ident> {
    let mut begins = true;
    let mut keys = Vec::new();
    for token in list {
        match token {
            TokenTree::Ident(key) if begins => {
                keys.push(key);
                begins = false;
            }
            token => begins = matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','),
        }
    }
    keys
}
