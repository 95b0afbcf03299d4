//! `#[derive(StateMachine)]`: states, edges and outputs from an enum.

mod attr;
mod check;
mod expand;
mod model;

use proc_macro2::TokenStream;
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
    let machine = attr::read(&ctxt, &input);
    if let Some(machine) = &machine {
        check::check(&ctxt, machine);
    }
    match (ctxt.finish(), machine) {
        (Ok(()), Some(machine)) => expand::whole(&machine, fingerprint),
        (Ok(()), None) => TokenStream::new(),
        (Err(errors), Some(machine)) => {
            let fallback = expand::fallback(&machine);
            quote::quote!(#errors #fallback)
        }
        (Err(errors), None) => errors,
    }
}
