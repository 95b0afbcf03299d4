//! The keys of `#[serde(…)]`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{Attribute, Meta};

/// The keys that are among these names.
pub(crate) fn among(attrs: &[Attribute], names: &[&str]) -> Vec<Ident> {
    let mut keys = all(attrs);
    keys.retain(|key| names.iter().any(|name| key == name));
    keys
}

/// All keys.
pub(crate) fn all(attrs: &[Attribute]) -> Vec<Ident> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("serde"))
        .filter_map(|attr| match &attr.meta {
            Meta::List(list) => Some(list.tokens.clone()),
            _ => None,
        })
        .flat_map(first_of_each)
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
