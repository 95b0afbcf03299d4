//! `#[derive(Document)]`: what a view keeps by key, and `#[derive(IndexField)]`: what it is found by.

mod attr;
mod expand;
mod index_field;
mod meaning;
mod model;

use proc_macro2::TokenStream;
use syn::DeriveInput;

pub(crate) use self::index_field::derive as derive_index_field;

use self::model::Document;
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<Document>(tokens)
}

impl Declaration for Document {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        attr::read(ctxt, input)
    }

    fn code(&self) -> TokenStream {
        expand::code(self, meaning::of(self))
    }

    fn fallback(&self) -> TokenStream {
        expand::fallback(self)
    }
}
