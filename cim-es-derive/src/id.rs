//! `#[derive(AggregateId)]`: an id of the author's own, on a struct with one unnamed field.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields};

use crate::ctxt::Ctxt;
use crate::{names, shape};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctxt = Ctxt::new();
    let inner = shape::refuse_generics(&ctxt, &input, "an aggregate id")
        .and_then(|()| inner(&ctxt, &input));
    if let Err(errors) = ctxt.finish() {
        return errors;
    }
    let ident = &input.ident;
    let name = names::text(ident);
    let text =
        inner.map(|inner| quote_spanned!(inner.span()=> <#inner as ::cim_es::aggregate::IdText>));
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #text::show(&self.0, formatter)
            }
        }
        #[automatically_derived]
        impl ::core::str::FromStr for #ident {
            type Err = ::cim_es::aggregate::IdError;
            fn from_str(text: &str) -> ::core::result::Result<Self, ::cim_es::aggregate::IdError> {
                ::core::result::Result::map(#text::read(text, #name), #ident)
            }
        }
        #[automatically_derived]
        impl ::cim_es::aggregate::AggregateId for #ident {
            fn token(
                &self,
            ) -> ::core::result::Result<::cim_es::subject::Token, ::cim_es::subject::TokenError> {
                ::cim_es::subject::Token::new(&::std::string::ToString::to_string(self))
            }
            fn from_token(
                token: &::cim_es::subject::Token,
            ) -> ::core::result::Result<Self, ::cim_es::aggregate::IdError> {
                <#ident as ::core::str::FromStr>::from_str(token.as_str())
            }
        }
    }
}

/// The type of the one unnamed field.
fn inner<'a>(ctxt: &Ctxt, input: &'a DeriveInput) -> Option<&'a syn::Type> {
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
