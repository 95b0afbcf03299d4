//! Writes the aggregate's implementation.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned;

use super::model::{Aggregate, InStates};
use crate::{kind, names};

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
        || quote!(::cim_es::aggregate::NoErrorInAggregateAttribute),
        |error| quote!(#error),
    );
    let kind = format!("{domain}.{name}");
    // A private type in a public aggregate is reported where its name stands.
    let types = [
        quote_spanned!(ident.span()=> type Value = #ident;),
        quote_spanned!(id.span()=> type Id = #id;),
        quote_spanned! {state.span()=>
            type State = #state;
            type Event = <#state as ::cim_es::machine::StateMachine>::Event;
            type Command = <#state as ::cim_es::machine::StateMachine>::Command;
        },
        quote_spanned!(error.span()=> type Error = #error;),
    ];
    let next_state = names::variable("the_state", state.span());
    let access = match &aggregate.field {
        Some(field) => quote! {
            fn state(&self) -> #state {
                ::cim_es::__private::copied_state::<Self>(&self.#field)
            }
            fn set_state(&mut self, #next_state: #state) {
                self.#field = #next_state;
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
        // One name in both places, whichever macro the path is from, and none that a constant has.
        let this = format_ident!("__aggregate");
        let names = quote_spanned! {unique.span()=>
            |#this| ::cim_es::__private::unique_names(#unique(#this))
        };
        quote! {
            const UNIQUE_NAMES: ::core::option::Option<
                fn(&Self) -> ::std::vec::Vec<::cim_es::aggregate::UniqueName>
            > = ::core::option::Option::Some(#names);
        }
    });
    let scopes = (!aggregate.scopes.is_empty()).then(|| {
        let scopes = aggregate.scopes.iter().map(LitStr::value);
        quote! {
            const SCOPES: &'static [&'static str] = &[#(#scopes),*];
        }
    });
    let kinds = kinds(aggregate);
    let (in_states, checks) = in_states(aggregate);
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
            #scopes
            #kinds
            #in_states
            #broken
            #access
            #unique
        }
        #checks
    }
}

/// What becomes of the fields that belong to states, and the check that these states exist.
fn in_states(aggregate: &Aggregate) -> (TokenStream, TokenStream) {
    let Aggregate {
        ident, in_states, ..
    } = aggregate;
    if in_states.is_empty() {
        return (TokenStream::new(), TokenStream::new());
    }
    let declared = in_states.iter().map(|InStates { field, states }| {
        let (field, states) = (names::text(field), states.iter().map(names::text));
        quote!((#field, &[#(#states),*]))
    });
    let resets = in_states
        .iter()
        .enumerate()
        .map(|(at, InStates { field, .. })| {
            quote! {
                if !::cim_es::__private::is_in_states(
                    &::cim_es::aggregate::Aggregate::state(self),
                    <Self as ::cim_es::aggregate::Aggregate>::IN_STATES[#at].1,
                ) {
                    self.#field = ::core::default::Default::default();
                }
            }
        });
    let items = quote! {
        const IN_STATES: &'static [(&'static str, &'static [&'static str])] = &[#(#declared),*];
        fn leave_states(&mut self) {
            #(#resets)*
        }
    };
    let states = in_states.iter().flat_map(|it| &it.states);
    let checks = states.map(|state| {
        let name = names::text(state);
        quote_spanned! {state.span()=>
            const _: () = ::cim_es::__private::check_state_exists::<#ident>(#name);
        }
    });
    (items, quote!(#(#checks)*))
}

/// The other kinds that the aggregate knows.
fn kinds(aggregate: &Aggregate) -> TokenStream {
    let former = (!aggregate.was.is_empty()).then(|| {
        let kinds = aggregate.was.iter().map(LitStr::value);
        let domains = kinds
            .clone()
            .map(|kind| kind::domain_of(&aggregate.domain, &aggregate.name, &kind));
        quote! {
            const FORMER_KINDS: &'static [&'static str] = &[#(#kinds),*];
            const FORMER_DOMAINS: &'static [&'static str] = &[#(#domains),*];
        }
    });
    let others = (!aggregate.shares_ids_with.is_empty()).then(|| {
        let kinds = aggregate.shares_ids_with.iter().map(LitStr::value);
        quote! {
            const SHARES_IDS_WITH: &'static [&'static str] = &[#(#kinds),*];
        }
    });
    quote!(#former #others)
}
