//! `#[derive(IndexField)]`: a value of the author's own that documents are found by.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Type};

use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};
use crate::{reexport, shape};

keys! {
    /// The keys of `#[index_field(…)]`.
    IndexFieldKey of "index_field" {
        Crate = "crate",
    }
}

/// A value as it was declared.
struct IndexField {
    ident: Ident,
    /// The type of the one unnamed field of a struct.
    inner: Option<Type>,
}

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<IndexField>(tokens)
}

impl Declaration for IndexField {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        shape::refuse_generics(ctxt, input, "an index field")?;
        Keys::new().read_all(ctxt, &input.attrs, |key, name, value| {
            attr::equals(name, value)?;
            match key {
                IndexFieldKey::Crate => {
                    reexport::check(value)?;
                }
            }
            Ok(())
        });
        Some(Self {
            ident: input.ident.clone(),
            inner: inner(ctxt, input),
        })
    }

    fn code(&self) -> TokenStream {
        let Self { ident, inner } = self;
        let check = inner.as_ref().map(|inner| {
            quote_spanned! {inner.span()=>
                const _: () = ::cim_es::document::check_index_field::<#inner>();
            }
        });
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl ::cim_es::document::IndexField for #ident {}
            #check
        }
    }

    fn fallback(&self) -> TokenStream {
        let ident = &self.ident;
        quote! {
            #[automatically_derived]
            impl ::cim_es::document::IndexField for #ident {}
        }
    }
}

/// The type of the one unnamed field of a struct; none for an enum. Another shape is reported.
fn inner(ctxt: &Ctxt, input: &DeriveInput) -> Option<Type> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                fields.unnamed.first().map(|field| field.ty.clone())
            }
            _ => {
                ctxt.error(
                    &input.ident,
                    "documents are found by one text: a struct has one unnamed field; index the fields of the document one by one",
                );
                None
            }
        },
        Data::Enum(data) => {
            for variant in &data.variants {
                if !matches!(variant.fields, Fields::Unit) {
                    ctxt.error(
                        &variant.fields,
                        "documents are found by the name of a variant, which says nothing of its data: remove the data, or index another field",
                    );
                }
            }
            None
        }
        Data::Union(_) => {
            ctxt.error(&input.ident, "a union has no text to be found by");
            None
        }
    }
}
