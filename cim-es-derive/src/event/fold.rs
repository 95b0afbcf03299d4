//! Writes how an event folds into the aggregate: assignments by name first, then the statements of `#[apply(…)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::spanned::Spanned;

use super::apply::PAYLOAD;
use super::model::{Apply, Events, Shape, Statement, Variant};
use super::scope;
use crate::names;

/// `fn fold_into(self, aggregate)`.
pub(super) fn function(events: &Events, ty: &Path) -> TokenStream {
    let Events {
        ident, variants, ..
    } = events;
    let aggregate = scope::aggregate(Span::mixed_site());
    let mut is_used = false;
    let arms: TokenStream = variants
        .iter()
        .map(|variant| {
            let (pattern, body) = arm(variant);
            is_used |= !body.is_empty();
            let (ident, variant) = (names::generated(ident), names::generated(&variant.ident));
            quote!(#ident::#variant #pattern => { #body })
        })
        .collect();
    let argument = if is_used {
        quote!(#aggregate)
    } else {
        quote!(_)
    };
    quote! {
        #[allow(unused_mut, clippy::explicit_auto_deref)]
        fn fold_into(self, #argument: &mut #ty) {
            match self {
                #arms
            }
        }
    }
}

/// The fields of the aggregate that an event sets, as far as its declaration shows it, each where it says so.
pub(super) fn sets(variant: &Variant) -> Vec<Ident> {
    let Apply::Fields {
        statements,
        dropped,
    } = &variant.apply
    else {
        return Vec::new();
    };
    let is_used = |field: &Ident| {
        let mut statements = statements.iter();
        statements.any(|statement| statement.names.contains(field))
    };
    let by_name = variant.fields().iter();
    let by_name = by_name.filter(|field| !dropped.contains(field) && !is_used(field));
    let changed = statements
        .iter()
        .filter_map(|statement| super::statement::changed(&statement.source));
    by_name.chain(changed).cloned().collect()
}

fn arm(variant: &Variant) -> (TokenStream, TokenStream) {
    match &variant.apply {
        Apply::Fields {
            statements,
            dropped,
        } => by_name(variant, statements, dropped),
        Apply::With(path) => with(variant, path),
        Apply::Refused => (quote!({ .. }), TokenStream::new()),
    }
}

fn by_name(
    variant: &Variant,
    statements: &[Statement],
    dropped: &[Ident],
) -> (TokenStream, TokenStream) {
    let is_used = |field: &Ident| {
        statements
            .iter()
            .any(|statement| statement.names.contains(field))
    };
    let body = statements
        .iter()
        .map(|Statement { expr, .. }| quote_spanned!(expr.span()=> #expr;));
    let pattern = match &variant.shape {
        Shape::Named(fields) => {
            let bindings = fields.iter().map(|field| {
                let holder = scope::holder(field);
                if dropped.contains(field) {
                    quote!(#field: _)
                } else if is_used(field) {
                    quote!(#field: mut #holder)
                } else {
                    quote!(#field: #holder)
                }
            });
            quote!({ #(#bindings),* })
        }
        Shape::Payload => {
            let payload = Ident::new(PAYLOAD, variant.ident.span());
            let holder = scope::holder(&payload);
            if is_used(&payload) {
                quote!((mut #holder))
            } else {
                quote!((_))
            }
        }
        Shape::Unit | Shape::Refused => quote!({ .. }),
    };
    let assignments = variant
        .fields()
        .iter()
        .filter(|field| !dropped.contains(field) && !is_used(field))
        .map(|field| assignment(field, variant.keeps(field)));
    (pattern, quote!(#(#assignments)* #(#body)*))
}

/// All tokens stand at the event's field: that is what the compiler's messages point at.
fn assignment(field: &Ident, is_kept: bool) -> TokenStream {
    let (aggregate, holder) = (scope::aggregate(field.span()), scope::holder(field));
    if is_kept {
        let value = names::variable("the_value", field.span());
        return quote_spanned! {field.span()=>
            if let ::core::option::Option::Some(#value) = ::cim_es::event::Given::given(#holder) {
                ::cim_es::event::Assign::assign(&mut (*#aggregate).#field, #value);
            }
        };
    }
    quote_spanned! {field.span()=>
        ::cim_es::event::Assign::assign(&mut (*#aggregate).#field, #holder);
    }
}

fn with(variant: &Variant, path: &Path) -> (TokenStream, TokenStream) {
    let aggregate = scope::aggregate(Span::mixed_site());
    let fields = variant.fields();
    let holders: Vec<Ident> = fields.iter().map(scope::holder).collect();
    match &variant.shape {
        Shape::Payload => {
            let payload = names::variable(PAYLOAD, Span::mixed_site());
            (quote!((#payload)), quote!(#path(#aggregate, #payload);))
        }
        Shape::Named(_) => (
            quote!({ #(#fields: #holders),* }),
            quote!(#path(#aggregate, #(#holders),*);),
        ),
        Shape::Unit | Shape::Refused => (quote!({ .. }), quote!(#path(#aggregate);)),
    }
}
