//! Writes the events' implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{LitStr, Path};

use super::fold;
use super::model::{Events, Owner, Step, Tail, Variant, WireName};
use crate::{kind, names, shape};

pub(crate) fn whole(events: &Events, fingerprint: u64) -> TokenStream {
    let declaration = declaration(events, fingerprint, false);
    let fold = events.aggregate().map(|aggregate| {
        let fold = fold::function(events, aggregate);
        aggregate_event(events, aggregate, &fold)
    });
    let is_several = events.variants.iter().any(Variant::is_several);
    let one_to_one = (!is_several).then(|| one_to_one(events));
    let checks = checks(events);
    quote!(#declaration #fold #one_to_one #checks)
}

/// What stands beside the errors: it compiles, and it is marked so that nothing more is reported about it.
pub(crate) fn fallback(events: &Events) -> TokenStream {
    let declaration = declaration(events, 0, true);
    let fold = events.aggregate().map(|aggregate| {
        let fold = quote!(fn fold_into(self, _: &mut #aggregate) {});
        aggregate_event(events, aggregate, &fold)
    });
    let one_to_one = one_to_one(events);
    quote!(#declaration #fold #one_to_one)
}

/// Each stored event is read as one.
fn one_to_one(events: &Events) -> TokenStream {
    let ident = &events.ident;
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::event::OneToOne for #ident {}
    }
}

/// How the events fold.
fn aggregate_event(events: &Events, aggregate: &Path, fold: &TokenStream) -> TokenStream {
    let ident = &events.ident;
    // A private type in a public declaration is reported where its name stands.
    let owner = quote_spanned!(aggregate.span()=> type Aggregate = #aggregate;);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::event::AggregateEvent for #ident {
            #owner
            #fold
        }
    }
}

/// What is known of the events without folding them.
fn declaration(events: &Events, fingerprint: u64, is_broken: bool) -> TokenStream {
    let Events {
        ident, variants, ..
    } = events;
    let names = variants.iter().map(Variant::name);
    let idents: Vec<_> = variants
        .iter()
        .map(|variant| variant.ident.clone())
        .collect();
    let specs = variants.iter().map(spec);
    let event_count = variants.len();
    let index = shape::index(ident, &idents);
    let kind = kind_of(events);
    let value = quote_spanned!(ident.span()=> type Value = #ident;);
    let origin = match events.aggregate() {
        Some(_) => quote!(<#ident as ::cim_es::event::AggregateEvent>::Aggregate),
        None => quote!(::cim_es::event::Elsewhere),
    };
    let lifecycle = events.aggregate().map(|_| {
        quote! {
            const LIFECYCLE: ::cim_es::__private::Lifecycle =
                ::cim_es::__private::lifecycle::<#ident>();
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
        impl ::cim_es::__private::EventDeclaration for #ident {
            const KIND: ::cim_es::__private::Kind = #kind;
            const SPECS: &'static [::cim_es::__private::EventSpec] = &[#(#specs),*];
            const TEXT: &'static [u8] = &::cim_es::__private::types_text::<
                #ident,
                { ::cim_es::__private::types_length::<#ident>() },
            >();
            const TYPES: &'static [&'static str] = &::cim_es::__private::types::<
                #ident,
                { ::cim_es::__private::types_count::<#ident>() },
            >();
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::event::DomainEvent for #ident {
            #value
            type Origin = #origin;
            const DOMAIN: &'static str =
                <#ident as ::cim_es::__private::EventDeclaration>::KIND.domain;
            const NAME: &'static str = <#ident as ::cim_es::__private::EventDeclaration>::KIND.name;
            const KIND: &'static str = <#ident as ::cim_es::__private::EventDeclaration>::KIND.kind;
            const FORMER_KINDS: &'static [&'static str] =
                <#ident as ::cim_es::__private::EventDeclaration>::KIND.former;
            const VARIANTS: &'static [&'static str] = &[#(#names),*];
            const EVENTS: &'static [::cim_es::event::EventInfo] =
                &::cim_es::__private::events::<#ident, #event_count>();
            const TYPES: &'static [&'static str] =
                <#ident as ::cim_es::__private::EventDeclaration>::TYPES;
            const FINGERPRINT: u64 = #fingerprint;
            #lifecycle
            #broken
            #index
        }
    }
}

/// The aggregate's names: its own declaration has them, or this one.
fn kind_of(events: &Events) -> TokenStream {
    let ident = &events.ident;
    match &events.owner {
        // By way of the events, so that an aggregate without its derive is reported where its name stands alone.
        Owner::Aggregate(_) => quote!(::cim_es::__private::kind::<#ident>()),
        Owner::Elsewhere { domain, name, was } => {
            let own = format!("{domain}.{name}");
            let former: Vec<String> = was.iter().map(LitStr::value).collect();
            let domains = former
                .iter()
                .map(|former| kind::domain_of(domain, name, former));
            quote! {
                ::cim_es::__private::Kind {
                    domain: #domain,
                    name: #name,
                    kind: #own,
                    former: &[#(#former),*],
                    former_domains: &[#(#domains),*],
                }
            }
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
        Step::IntoSeveral(path) => quote!(::cim_es::event::Upcaster::IntoSeveral { 0: #path }),
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
    let folded = events
        .aggregate()
        .map(|aggregate| checks_of_aggregate(events, aggregate));
    quote!(#folded #(#distinct)* #(#payloads)*)
}

/// Checks of events that fold into an aggregate.
fn checks_of_aggregate(events: &Events, aggregate: &Path) -> TokenStream {
    let ident = &events.ident;
    let declared = events.variants.iter().enumerate();
    let used = declared.filter(|(_, variant)| variant.retired.is_none());
    let used = used.map(|(at, variant)| {
        quote_spanned! {variant.ident.span()=>
            #[allow(deprecated)]
            const _: () = ::cim_es::__private::check_event_is_used::<#ident>(#at);
        }
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
    let (label, aggregate) = (names::text(ident), names::label(aggregate));
    quote_spanned! {ident.span()=>
        #[allow(deprecated)]
        const _: () = ::cim_es::__private::check_events_are_applied::<#ident>(#label, #aggregate);
        #(#used)* #(#sets)*
    }
}
