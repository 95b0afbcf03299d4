//! `#[derive(AggregateId)]`: an id of the author's own, on a struct with one unnamed field.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Type};

use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::derive::{self, Declaration};
use crate::{names, reexport, shape};

keys! {
    /// The keys of `#[aggregate_id(…)]`.
    IdKey of "aggregate_id" {
        Crate = "crate",
    }
}

/// An id as it was declared.
struct AggregateId {
    ident: Ident,
    /// The type of the one unnamed field; none when there is no such field, which is reported.
    inner: Option<Type>,
}

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    derive::expand::<AggregateId>(tokens)
}

impl Declaration for AggregateId {
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self> {
        shape::refuse_generics(ctxt, input, "an aggregate id")?;
        Keys::new().read_all(ctxt, &input.attrs, |key, name, value| {
            attr::equals(name, value)?;
            match key {
                IdKey::Crate => {
                    reexport::check(value)?;
                }
            }
            Ok(())
        });
        Some(Self {
            ident: input.ident.clone(),
            inner: inner(ctxt, input).cloned(),
        })
    }

    fn code(&self) -> TokenStream {
        self.inner
            .as_ref()
            .map(|inner| code(&self.ident, inner))
            .unwrap_or_default()
    }

    /// What is missing is the field that says how the id prints and parses, so nothing can be written without it.
    fn fallback(&self) -> TokenStream {
        TokenStream::new()
    }
}

fn code(ident: &Ident, inner: &Type) -> TokenStream {
    let name = names::text(ident);
    let text = quote_spanned!(inner.span()=> <#inner as ::cim_es::aggregate::IdField>);
    let [formatter, from] =
        ["the_formatter", "the_text"].map(|name| names::variable(name, ident.span()));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, #formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #text::show(&self.0, #formatter)
            }
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::core::str::FromStr for #ident {
            type Err = ::cim_es::aggregate::IdError;
            fn from_str(#from: &str) -> ::core::result::Result<Self, ::cim_es::aggregate::IdError> {
                ::core::result::Result::map(#text::read(#from, #name), #ident)
            }
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::aggregate::AggregateId for #ident {
            fn text(
                &self,
            ) -> ::core::result::Result<::cim_es::aggregate::IdText, ::cim_es::aggregate::IdTextError>
            {
                ::cim_es::aggregate::IdText::new(&::std::string::ToString::to_string(self))
            }
            fn from_text(
                #from: &::cim_es::aggregate::IdText,
            ) -> ::core::result::Result<Self, ::cim_es::aggregate::IdError> {
                <#ident as ::core::str::FromStr>::from_str(#from.as_str())
            }
        }
    }
}

/// The type of the one unnamed field.
fn inner<'a>(ctxt: &Ctxt, input: &'a DeriveInput) -> Option<&'a Type> {
    let name = names::text(&input.ident);
    let Data::Struct(data) = &input.data else {
        ctxt.error(
            &input.ident,
            format!(
                "an aggregate id is a struct with one unnamed field: write `struct {name}(Uuid);`"
            ),
        );
        return None;
    };
    match &data.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Some(&fields.unnamed[0].ty),
        Fields::Unit => {
            ctxt.error(
                &input.ident,
                format!("an aggregate id has one unnamed field: write `struct {name}(Uuid);`"),
            );
            None
        }
        fields => {
            ctxt.error(
                fields,
                format!("an aggregate id has one unnamed field that prints and parses: write `struct {name}(Uuid);`"),
            );
            None
        }
    }
}
