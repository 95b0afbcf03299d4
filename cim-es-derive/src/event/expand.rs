//! Writes the events' implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::fold;
use super::model::{Events, Step, Tail, Variant, WireName};
use crate::{names, shape};

pub(crate) fn whole(events: &Events, fingerprint: u64) -> TokenStream {
    let fold = fold::function(events);
    let implementation = implementation(events, fingerprint, &fold);
    let checks = checks(events);
    quote!(#implementation #checks)
}

/// What stands beside the errors: it compiles, and it is marked so that nothing more is reported about it.
pub(crate) fn fallback(events: &Events) -> TokenStream {
    let aggregate = &events.aggregate;
    let fold = quote! {
        const BROKEN: bool = true;
        fn fold_into(self, _: &mut #aggregate) {}
    };
    implementation(events, 0, &fold)
}

fn implementation(events: &Events, fingerprint: u64, fold: &TokenStream) -> TokenStream {
    let Events {
        ident,
        aggregate,
        variants,
        ..
    } = events;
    let names = variants.iter().map(Variant::name);
    let idents: Vec<_> = variants
        .iter()
        .map(|variant| variant.ident.clone())
        .collect();
    let specs = variants.iter().map(spec);
    let event_count = variants.len();
    let index = shape::index(ident, &idents);
    // A private type in a public declaration is reported where its name stands.
    let owner = quote_spanned!(aggregate.span()=> type Aggregate = #aggregate;);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::__private::EventDeclaration for #ident {
            const SPECS: &'static [::cim_es::__private::EventSpec] = &[#(#specs),*];
            const TEXT: &'static [u8] = &::cim_es::__private::types_text::<
                #ident,
                #aggregate,
                { ::cim_es::__private::types_length::<#ident, #aggregate>() },
            >();
            const TYPES: &'static [&'static str] = &::cim_es::__private::types::<
                #ident,
                #aggregate,
                { ::cim_es::__private::types_count::<#ident, #aggregate>() },
            >();
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::event::DomainEvent for #ident {
            #owner
            const VARIANTS: &'static [&'static str] = &[#(#names),*];
            const EVENTS: &'static [::cim_es::event::EventInfo] =
                &::cim_es::__private::events::<#ident, #aggregate, #event_count>();
            const TYPES: &'static [&'static str] =
                <#ident as ::cim_es::__private::EventDeclaration>::TYPES;
            const FINGERPRINT: u64 = #fingerprint;
            #index
            #fold
        }
    }
}

fn spec(variant: &Variant) -> TokenStream {
    let ident = variant.name();
    let name = wire_name(&variant.name);
    let former = variant.former.iter().map(wire_name);
    let schema = variant.schema();
    let mut upcasts: Vec<_> = variant.upcasts.iter().collect();
    upcasts.sort_by_key(|upcast| upcast.from.base10_parse::<u32>().unwrap_or_default());
    let upcasters = upcasts.iter().map(|upcast| step(&upcast.step));
    let fields = variant.fields().iter().map(names::text);
    quote! {
        ::cim_es::__private::EventSpec {
            variant: #ident,
            name: #name,
            former: &[#(#former),*],
            schema: #schema,
            upcasters: &[#(#upcasters),*],
            fields: &[#(#fields),*],
        }
    }
}

/// Written with a field, so that a function of another type is reported where it is named and nowhere else.
fn step(step: &Step) -> TokenStream {
    match step {
        Step::Payload(path) => quote!(::cim_es::event::Upcaster::Payload { 0: #path }),
        Step::WithEnvelope(path) => quote!(::cim_es::event::Upcaster::WithEnvelope { 0: #path }),
    }
}

fn wire_name(name: &WireName) -> TokenStream {
    match &name.tail {
        Tail::Operation(operation) => quote!(::cim_es::__private::Tail::Operation(#operation)),
        Tail::Subject(subject) => quote!(::cim_es::__private::Tail::Subject(#subject)),
    }
}

/// Checks that need the machine, or the aggregate's name, each on the token that they are about.
fn checks(events: &Events) -> TokenStream {
    let ident = &events.ident;
    let used = events.variants.iter().enumerate().map(|(at, variant)| {
        quote_spanned! {variant.ident.span()=>
            #[allow(deprecated)]
            const _: () = ::cim_es::__private::check_event_is_used::<#ident>(#at);
        }
    });
    // Among operations alone the enum shows every repetition; a whole subject has to be compared with the others.
    let distinct = events
        .variants
        .iter()
        .enumerate()
        .flat_map(|(at, variant)| {
            let names = [&variant.name].into_iter().chain(&variant.former);
            names.enumerate().filter_map(move |(name_at, name)| {
            let literal = name
                .literal
                .as_ref()
                .filter(|_| matches!(name.tail, Tail::Subject(_)))?;
            Some(quote_spanned! {literal.span()=>
                #[allow(deprecated)]
                const _: () = ::cim_es::__private::check_type_is_distinct::<#ident>(#at, #name_at);
            })
        })
        });
    let sets = events
        .variants
        .iter()
        .enumerate()
        .flat_map(|(at, variant)| {
            fold::sets(variant).into_iter().map(move |field| {
                let name = names::text(&field);
                quote_spanned! {field.span()=>
                    #[allow(deprecated)]
                    const _: () = ::cim_es::__private::check_event_may_set::<#ident>(#at, #name);
                }
            })
        });
    let payloads = events.variants.iter().filter_map(|variant| {
        let (payload, name) = (variant.payload()?, variant.name());
        Some(quote_spanned! {payload.span()=>
            #[allow(deprecated)]
            const _: () = {
                #[allow(unused_imports)]
                use ::cim_es::__private::AnyPayload as _;
                ::cim_es::__private::check_payload_is_a_map(
                    <::cim_es::__private::Payload<#payload>>::FORM,
                    #name,
                );
            };
        })
    });
    let (label, aggregate) = (names::text(ident), names::label(&events.aggregate));
    let applied = quote_spanned! {ident.span()=>
        #[allow(deprecated)]
        const _: () = ::cim_es::__private::check_events_are_applied::<#ident>(#label, #aggregate);
    };
    quote!(#applied #(#used)* #(#distinct)* #(#payloads)* #(#sets)*)
}
