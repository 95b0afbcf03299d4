//! Writes the aggregate's implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::Aggregate;

pub(crate) fn code(aggregate: &Aggregate, fingerprint: u64, is_broken: bool) -> TokenStream {
    let Aggregate {
        ident,
        domain,
        name,
        state,
        ..
    } = aggregate;
    let id = aggregate
        .id
        .as_ref()
        .map_or_else(|| quote!(::cim_es::aggregate::Id<#ident>), |id| quote!(#id));
    let error = aggregate.error.as_ref().map_or_else(
        || quote!(::core::convert::Infallible),
        |error| quote!(#error),
    );
    let kind = format!("{domain}.{name}");
    // A private type in a public aggregate is reported where its name stands.
    let types = [
        quote_spanned!(id.span()=> type Id = #id;),
        quote_spanned! {state.span()=>
            type State = #state;
            type Event = <#state as ::cim_es::machine::StateMachine>::Event;
            type Command = <#state as ::cim_es::machine::StateMachine>::Command;
        },
        quote_spanned!(error.span()=> type Error = #error;),
    ];
    let access = match &aggregate.field {
        Some(field) => quote! {
            fn state(&self) -> #state {
                ::core::clone::Clone::clone(&self.#field)
            }
            fn set_state(&mut self, state: #state) {
                self.#field = state;
            }
        },
        None => quote! {
            fn state(&self) -> #state {
                ::core::unreachable!()
            }
            fn set_state(&mut self, _: #state) {}
        },
    };
    let unique = aggregate.unique.as_ref().map(|unique| {
        // `self` stands where the function's own does: one from another macro is another name.
        let this = quote!(self);
        let names =
            quote_spanned!(unique.span()=> ::cim_es::__private::unique_names(#unique(#this)));
        quote! {
            const HAS_UNIQUE_NAMES: bool = true;
            fn unique_names(&self) -> ::std::vec::Vec<::cim_es::aggregate::UniqueName> {
                #names
            }
        }
    });
    let broken = is_broken.then(|| {
        quote!(
            const BROKEN: bool = true;
        )
    });
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::aggregate::Aggregate for #ident {
            #(#types)*
            const DOMAIN: &'static str = #domain;
            const NAME: &'static str = #name;
            const KIND: &'static str = #kind;
            const FINGERPRINT: u64 = #fingerprint;
            #broken
            #access
            #unique
        }
    }
}
