//! Writes the projection's implementation.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned;

use super::model::{Home, Listed, Projection};
use crate::names;

pub(super) fn code(projection: &Projection, digest: u64) -> TokenStream {
    let Projection { ident, events, .. } = projection;
    let lists = events.iter().map(|listed| {
        let (path, choice) = (&listed.events, choice(listed));
        // A private enum in a public projection is reported where its name stands.
        quote_spanned! {path.span()=>
            #[automatically_derived]
            #[allow(deprecated)]
            impl ::cim_es::projection::Lists<#path> for #ident {
                const CHOICE: &'static [&'static str] = &[#(#choice),*];
            }
        }
    });
    let declaration = declaration(projection, digest);
    let home = home(projection);
    let checks = checks(projection);
    quote!(#declaration #(#lists)* #home #checks)
}

/// What stands beside the errors: it compiles, and whatever it is written to project is listed.
pub(super) fn fallback(projection: &Projection) -> TokenStream {
    let ident = &projection.ident;
    let declaration = declaration(
        &Projection {
            ident: ident.clone(),
            attrs: Vec::new(),
            declared: projection.declared.clone(),
            is_empty: projection.is_empty,
            name: None,
            version: None,
            events: Vec::new(),
            home: Home::Value,
        },
        0,
    );
    let home = match &projection.home {
        Home::Value => in_memory(ident, &[]),
        Home::Documents(document) => {
            let home = in_documents(ident, document, &[]);
            let new = projection.is_empty.then(|| without_fields(ident));
            quote!(#home #new)
        }
        Home::Tables { sqlite, postgres } => {
            // The text may be what is wrong.
            let text = quote!("");
            let sqlite = sqlite.as_ref().map(|_| in_tables(ident, &text, &[]));
            let postgres = postgres.as_ref();
            let postgres = postgres.map(|_| in_postgres_tables(ident, &text, &[]));
            let new = projection.is_empty.then(|| without_fields(ident));
            quote!(#sqlite #postgres #new)
        }
    };
    quote! {
        #declaration
        #[automatically_derived]
        impl<E> ::cim_es::projection::Lists<E> for #ident {
            const CHOICE: &'static [&'static str] = &[];
        }
        #home
    }
}

fn choice(listed: &Listed) -> Vec<String> {
    let chosen = listed.choice.iter().flatten();
    chosen.map(names::text).collect()
}

/// What is declared of the view, wherever it is kept.
fn declaration(projection: &Projection, digest: u64) -> TokenStream {
    let Projection {
        ident,
        name,
        version,
        events,
        home,
        ..
    } = projection;
    let name = name.as_ref().map(LitStr::value).unwrap_or_default();
    let version = match version {
        Some(version) => quote!(#version),
        None => quote!(1),
    };
    let paths: Vec<_> = events.iter().map(|listed| &listed.events).collect();
    let kept = match home {
        Home::Value => None,
        Home::Documents(document) => Some(quote! {
            <#document as ::cim_es::projection::Document>::FINGERPRINT,
        }),
        Home::Tables { sqlite, postgres } => {
            let sqlite = sqlite.as_ref().map(|_| {
                quote! {
                    ::cim_es::projection::declared::digest(
                        <Self as ::cim_es::projection::InTables>::TABLES
                    ),
                }
            });
            let postgres = postgres.as_ref().map(|_| {
                quote! {
                    ::cim_es::projection::declared::digest(
                        <Self as ::cim_es::projection::InPostgresTables>::TABLES
                    ),
                }
            });
            Some(quote!(#sqlite #postgres))
        }
    };
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::projection::Projection for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const FINGERPRINT: u64 = ::cim_es::projection::declared::fingerprint(
                #digest,
                &[#(<#paths as ::cim_es::event::DomainEvent>::FINGERPRINT,)* #kept],
            );
            fn selection() -> ::cim_es::store::Selection {
                ::cim_es::projection::declared::selection([
                    #(::cim_es::projection::declared::subjects::<Self, #paths>()),*
                ])
            }
        }
    }
}

fn home(projection: &Projection) -> TokenStream {
    match &projection.home {
        Home::Value => in_memory(&projection.ident, &projection.events),
        Home::Documents(document) => {
            let ident = &projection.ident;
            let home = in_documents(ident, document, &projection.events);
            let new = projection.is_empty.then(|| without_fields(ident));
            quote!(#home #new)
        }
        Home::Tables { sqlite, postgres } => {
            let (ident, events) = (&projection.ident, &projection.events);
            let sqlite = sqlite.as_ref().map(|text| in_tables(ident, text, events));
            let postgres = postgres.as_ref();
            let postgres = postgres.map(|text| in_postgres_tables(ident, text, events));
            let new = projection.is_empty.then(|| without_fields(ident));
            quote!(#sqlite #postgres #new)
        }
    }
}

/// A projection that anybody can make.
fn without_fields(ident: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::projection::WithoutFields for #ident {
            fn new() -> Self {
                #ident {}
            }
        }
    }
}

fn in_memory(ident: &Ident, events: &[Listed]) -> TokenStream {
    let [event, is_new] = variables(["the_event", "is_event_new"]);
    // A missing `impl Project` is reported where the events are listed.
    let steps = events.iter().map(|Listed { events, .. }| {
        quote_spanned! {events.span()=>
            if ::cim_es::projection::declared::is_one_of::<#events>(#event) {
                return ::cim_es::projection::declared::project::<Self, #events>(self, #event, #is_new);
            }
        }
    });
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::projection::InMemory for #ident {
            fn take(
                &mut self,
                #event: &::cim_es::block::StoredEvent,
                #is_new: bool,
            ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
                #(#steps)*
                ::cim_es::projection::declared::not_listed::<Self>(#event)
            }
        }
    }
}

fn in_documents(ident: &Ident, document: &syn::Type, events: &[Listed]) -> TokenStream {
    let [event, is_new, documents] = variables(["the_event", "is_event_new", "the_documents"]);
    let steps = events.iter().map(|Listed { events, .. }| {
        quote_spanned! {events.span()=>
            if ::cim_es::projection::declared::is_one_of::<#events>(#event) {
                return ::cim_es::projection::declared::project_documents::<Self, #events>(
                    self, #event, #is_new, #documents,
                )
                .await;
            }
        }
    });
    let owner = quote_spanned!(document.span()=> type Document = #document;);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::projection::InDocuments for #ident {
            #owner
            async fn take(
                &self,
                #event: &::cim_es::block::StoredEvent,
                #is_new: bool,
                #documents: &mut ::cim_es::projection::Documents<'_, #document>,
            ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
                #(#steps)*
                ::cim_es::projection::declared::not_listed::<Self>(#event)
            }
        }
    }
}

fn in_tables(ident: &Ident, text: &impl ToTokens, events: &[Listed]) -> TokenStream {
    let [event, is_new, tables] = variables(["the_event", "is_event_new", "the_tables"]);
    let steps = events.iter().map(|Listed { events, .. }| {
        quote_spanned! {events.span()=>
            if ::cim_es::projection::declared::is_one_of::<#events>(#event) {
                return ::cim_es::projection::declared::project_tables::<Self, #events>(
                    self, #event, #is_new, #tables,
                );
            }
        }
    });
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::projection::InTables for #ident {
            const TABLES: &'static str = #text;
            fn take(
                &self,
                #event: &::cim_es::block::StoredEvent,
                #is_new: bool,
                #tables: &::cim_es::projection::Tables<'_>,
            ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
                #(#steps)*
                ::cim_es::projection::declared::not_listed::<Self>(#event)
            }
        }
    }
}

fn in_postgres_tables(ident: &Ident, text: &impl ToTokens, events: &[Listed]) -> TokenStream {
    let [event, is_new, tables] = variables(["the_event", "is_event_new", "the_tables"]);
    let steps = events.iter().map(|Listed { events, .. }| {
        quote_spanned! {events.span()=>
            if ::cim_es::projection::declared::is_one_of::<#events>(#event) {
                return ::cim_es::projection::declared::project_postgres_tables::<Self, #events>(
                    self, #event, #is_new, #tables,
                )
                .await;
            }
        }
    });
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::projection::InPostgresTables for #ident {
            const TABLES: &'static str = #text;
            async fn take(
                &self,
                #event: &::cim_es::block::StoredEvent,
                #is_new: bool,
                #tables: &::cim_es::projection::PostgresTables<'_>,
            ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
                #(#steps)*
                ::cim_es::projection::declared::not_listed::<Self>(#event)
            }
        }
    }
}

/// Variables of the generated code.
fn variables<const COUNT: usize>(names: [&str; COUNT]) -> [Ident; COUNT] {
    names.map(|name| names::variable(name, Span::call_site()))
}

/// What only the compiler can see: the variants exist, no two enums are of one aggregate, and no other
/// projection in the module has the name.
fn checks(projection: &Projection) -> TokenStream {
    let events = &projection.events;
    let variants = events.iter().flat_map(|listed| {
        let (path, label) = (&listed.events, names::label(&listed.events));
        let chosen = listed.choice.iter().flatten();
        chosen.map(move |variant| {
            let name = names::text(variant);
            quote_spanned! {variant.span()=>
                #[allow(deprecated)]
                const _: () =
                    ::cim_es::__private::check_event_exists::<#path>(#name, #label);
            }
        })
    });
    let pairs = (0..events.len()).flat_map(|at| (0..at).map(move |earlier| (earlier, at)));
    let kinds = pairs.map(|(earlier, at)| {
        let (one, other) = (&events[earlier].events, &events[at].events);
        let (first, second) = (names::label(one), names::label(other));
        quote_spanned! {other.span()=>
            #[allow(deprecated)]
            const _: () = ::cim_es::__private::check_other_aggregate::<#one, #other>(
                #first, #second,
            );
        }
    });
    let name = projection.name.as_ref().map(|name| {
        let item = format_ident!(
            "a_view_is_named_{}",
            name.value().replace('-', "DASH"),
            span = name.span()
        );
        quote_spanned! {name.span()=>
            #[doc(hidden)]
            #[allow(non_upper_case_globals, dead_code)]
            const #item: () = ();
        }
    });
    let texts = match &projection.home {
        Home::Tables { sqlite, postgres } => [sqlite.as_ref(), postgres.as_ref()],
        Home::Value | Home::Documents(_) => [None, None],
    };
    let texts = texts.into_iter().flatten().map(|text| {
        quote_spanned! {text.span()=>
            const _: () = ::cim_es::projection::declared::check_tables(#text);
        }
    });
    quote!(#(#variants)* #(#kinds)* #(#texts)* #name)
}
