//! `#[derive(Aggregate)]`: names, types and the state of an aggregate.

mod attr;
mod expand;
mod meaning;
mod model;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::model::Aggregate;
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<Aggregate>(tokens)
}

impl Declaration for Aggregate {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        attr::read(ctxt, input)
    }

    fn code(&self) -> TokenStream {
        expand::code(self, meaning::of(self), false)
    }

    fn fallback(&self) -> TokenStream {
        expand::code(self, 0, true)
    }
}
