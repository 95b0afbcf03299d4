//! Which types a derive can stand on, and what all enums have in common.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::DeriveInput;

use crate::ctxt::Ctxt;
use crate::names;

/// A declaration of a domain is one concrete type: its subjects are.
/// None says that no implementation can stand beside the error.
pub(crate) fn refuse_generics(ctxt: &Ctxt, input: &DeriveInput, what: &str) -> Option<()> {
    if !input.generics.params.is_empty() {
        ctxt.error(
            &input.generics,
            format!("{what} cannot be generic: declare one type for each kind"),
        );
        return None;
    }
    if let Some(clause) = &input.generics.where_clause {
        ctxt.error(clause, format!("{what} cannot have a `where` clause"));
        return None;
    }
    Some(())
}

/// `fn index(&self)`: the place of a variant, whatever its shape.
pub(crate) fn index(ident: &Ident, variants: &[Ident]) -> TokenStream {
    let places = 0..variants.len();
    let ident = names::generated(ident);
    let variants = variants.iter().map(names::generated);
    quote! {
        fn index(&self) -> usize {
            match *self {
                #(#ident::#variants { .. } => #places,)*
            }
        }
    }
}
