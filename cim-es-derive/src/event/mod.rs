//! `#[derive(DomainEvent)]`: wire names, versions, and how events fold into the aggregate.
//!
//! A key passes through these files, in this order:
//!
//! 1. `attr` reads it: the enum of keys names it, and the `match` on that says what its value is.
//!    What `#[apply(…)]` holds is read by `apply`: `statement` says which statements there are, and
//!    `scope` with `resolve`, `format` and `placeholder` what the names in one mean.
//! 2. `model` keeps its value with its tokens.
//! 3. `check` compares it with the rest of the declaration and reports what cannot be. `serde` does
//!    so with serde's keys.
//! 4. `meaning` makes it a part of the fingerprint, or says that it does not count.
//! 5. `expand` writes it into the declaration of the events, and `fold` into the function that
//!    applies them.
//! 6. `domain/declared` of the runtime crate puts it together with what the aggregate declares, and
//!    checks what spans types.
//!
//! The reference of all keys is on the derive in `lib.rs`.

mod apply;
mod attr;
mod check;
mod expand;
mod fold;
mod format;
mod meaning;
mod model;
mod placeholder;
mod resolve;
mod scope;
mod serde;
mod statement;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::model::Events;
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<Events>(tokens)
}

impl Declaration for Events {
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
