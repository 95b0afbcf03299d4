//! `#[derive(Command)]`: the names of the commands, and the aggregate that decides them.

mod attr;
mod expand;
mod model;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::ctxt::Ctxt;

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctxt = Ctxt::new();
    let commands = attr::read(&ctxt, &input);
    let errors = ctxt.finish().err();
    let code = commands.map(|commands| expand::code(&commands, errors.is_some()));
    quote!(#errors #code)
}
