//! Writes the document's implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{Document, Index};
use crate::names;

pub(super) fn code(document: &Document, fingerprint: u64) -> TokenStream {
    let Document { ident, indexes, .. } = document;
    let name = names::text(ident);
    let fields = indexes.iter().map(|index| names::text(&index.field));
    let variable = names::variable("the_index", ident.span());
    let adds = indexes.iter().map(|Index { field, ty }| {
        let name = names::text(field);
        let field = names::generated(field);
        // A type that is no index is reported where it stands.
        quote_spanned! {ty.span()=>
            ::cim_es::document::Index::add::<#ty>(#variable, #name, &self.#field);
        }
    });
    // A document without indexes takes none.
    let index = match indexes.is_empty() {
        true => quote!(_),
        false => quote!(#variable),
    };
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::document::Document for #ident {
            const NAME: &'static str = #name;
            const INDEXES: &'static [&'static str] = &[#(#fields),*];
            const FINGERPRINT: u64 = #fingerprint;
            fn index(&self, #index: &mut ::cim_es::document::Index) {
                #(#adds)*
            }
        }
    }
}

/// What stands beside the errors: a document that is found by nothing.
pub(super) fn fallback(document: &Document) -> TokenStream {
    let ident = &document.ident;
    let name = names::text(ident);
    quote! {
        #[automatically_derived]
        impl ::cim_es::document::Document for #ident {
            const NAME: &'static str = #name;
            const INDEXES: &'static [&'static str] = &[];
            const FINGERPRINT: u64 = 0;
            fn index(&self, _: &mut ::cim_es::document::Index) {}
        }
    }
}
