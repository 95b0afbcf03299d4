//! `#[derive(Aggregate)]`: names, types and the state of an aggregate.

mod attr;
mod expand;
mod model;

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
    let aggregate = attr::read(&ctxt, &input);
    let errors = ctxt.finish().err();
    let code = aggregate.map(|aggregate| expand::code(&aggregate, fingerprint, errors.is_some()));
    quote!(#errors #code)
}
