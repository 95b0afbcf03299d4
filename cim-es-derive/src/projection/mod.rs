//! `#[derive(Projection)]`: which events a view is made of, and where it is kept.

mod attr;
mod check;
mod expand;
mod listed;
mod meaning;
mod model;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::model::Projection;
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<Projection>(tokens)
}

impl Declaration for Projection {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        attr::read(ctxt, input)
    }

    fn check(&self, ctxt: &Ctxt) {
        check::check(self, ctxt);
    }

    fn code(&self) -> TokenStream {
        expand::code(self, meaning::of(self))
    }

    fn fallback(&self) -> TokenStream {
        expand::fallback(self)
    }
}
