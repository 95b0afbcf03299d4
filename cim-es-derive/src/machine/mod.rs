//! `#[derive(StateMachine)]`: states, edges and outputs from an enum.

mod attr;
mod check;
mod expand;
mod meaning;
mod model;
mod serde;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::model::Machine;
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<Machine>(tokens)
}

impl Declaration for Machine {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        attr::read(ctxt, input)
    }

    fn check(&self, ctxt: &Ctxt) {
        check::check(ctxt, self);
    }

    fn code(&self) -> TokenStream {
        expand::whole(self, meaning::of(self))
    }

    fn fallback(&self) -> TokenStream {
        expand::fallback(self)
    }
}
