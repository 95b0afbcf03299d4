//! `#[derive(Command)]`: the names of the commands, and the aggregate that decides them.

mod attr;
mod expand;
mod model;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::model::Commands;
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<Commands>(tokens)
}

impl Declaration for Commands {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        attr::read(ctxt, input)
    }

    fn code(&self) -> TokenStream {
        expand::code(self, false)
    }

    fn fallback(&self) -> TokenStream {
        expand::code(self, true)
    }
}
