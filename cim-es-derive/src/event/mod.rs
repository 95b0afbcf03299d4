//! `#[derive(DomainEvent)]`: wire names, versions, and how events fold into the aggregate.

mod apply;
mod attr;
mod check;
mod expand;
mod fold;
mod model;
mod serde;
mod statement;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::ctxt::Ctxt;
use crate::fingerprint;

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    let fingerprint = fingerprint::of(tokens.clone());
    let input: DeriveInput = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctxt = Ctxt::new();
    let events = attr::read(&ctxt, &input);
    if let Some(events) = &events {
        check::check(&ctxt, events);
    }
    match (ctxt.finish(), events) {
        (Ok(()), Some(events)) => expand::whole(&events, fingerprint),
        (Ok(()), None) => TokenStream::new(),
        (Err(errors), events) => {
            let fallback = events.as_ref().map(expand::fallback);
            quote!(#errors #fallback)
        }
    }
}
