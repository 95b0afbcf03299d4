//! Writes how an event folds into the aggregate: assignments by name first, then the statements of `#[apply(…)]`.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Path};

use super::apply::PAYLOAD;
use super::model::{Apply, Events, Shape, Statement, Variant};
use crate::names;

/// `fn fold_into(self, aggregate)`.
pub(super) fn function(events: &Events) -> TokenStream {
    let Events {
        ident,
        aggregate: ty,
        variants,
    } = events;
    let aggregate = aggregate();
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
        #[allow(unused_mut)]
        fn fold_into(self, #argument: &mut #ty) {
            match self {
                #arms
            }
        }
    }
}

/// A name that cannot meet one of the author's.
fn aggregate() -> Ident {
    Ident::new("aggregate", Span::mixed_site())
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
    // The binding is the name as a statement writes it, so that it is found there also when a macro wrote the statement.
    let named = |field: &Ident| {
        let mut names = statements.iter().flat_map(|statement| &statement.names);
        names.find(|name| *name == field)
    };
    let body = statements.iter().map(|statement| {
        let statement = on_aggregate(&statement.expr);
        quote!(#statement;)
    });
    let pattern = match &variant.shape {
        Shape::Named(fields) => {
            let bindings = fields.iter().map(|field| {
                if dropped.contains(field) {
                    quote!(#field: _)
                } else if let Some(used) = named(field) {
                    quote!(mut #used)
                } else {
                    quote!(#field)
                }
            });
            quote!({ #(#bindings),* })
        }
        Shape::Payload => {
            let payload = Ident::new(PAYLOAD, variant.ident.span());
            match named(&payload) {
                Some(used) => quote!((mut #used)),
                None => quote!((_)),
            }
        }
        Shape::Unit | Shape::Refused => quote!({ .. }),
    };
    let assignments = variant
        .fields()
        .iter()
        .filter(|field| !dropped.contains(field) && named(field).is_none())
        .map(assignment);
    (pattern, quote!(#(#assignments)* #(#body)*))
}

/// All tokens stand at the event's field: that is what the compiler's messages point at.
fn assignment(field: &Ident) -> TokenStream {
    let aggregate = names::generated(&Ident::new("aggregate", field.span()));
    quote_spanned! {field.span()=>
        ::cim_es::event::Assign::assign(&mut (*#aggregate).#field, #field);
    }
}

fn with(variant: &Variant, path: &Path) -> (TokenStream, TokenStream) {
    let aggregate = aggregate();
    let fields = variant.fields();
    match &variant.shape {
        Shape::Payload => {
            let payload = Ident::new(PAYLOAD, Span::mixed_site());
            (quote!((#payload)), quote!(#path(#aggregate, #payload);))
        }
        Shape::Named(_) => (
            quote!({ #(#fields),* }),
            quote!(#path(#aggregate, #(#fields),*);),
        ),
        Shape::Unit | Shape::Refused => (quote!({ .. }), quote!(#path(#aggregate);)),
    }
}

/// The statement with its leftmost name as a field of the aggregate, and `self` as the aggregate.
fn on_aggregate(expr: &Expr) -> TokenStream {
    let mut expr = expr.clone();
    let place = match &mut expr {
        Expr::Assign(assign) => &mut *assign.left,
        Expr::Binary(binary) => &mut *binary.left,
        other => other,
    };
    prefix(place);
    replace_self(expr.to_token_stream())
}

fn prefix(place: &mut Expr) {
    match place {
        Expr::Path(path) => {
            let aggregate = aggregate();
            let field = path.to_token_stream();
            *place = Expr::Verbatim(quote!((*#aggregate).#field));
        }
        Expr::Field(field) => prefix(&mut field.base),
        Expr::Index(index) => prefix(&mut index.expr),
        Expr::MethodCall(call) => prefix(&mut call.receiver),
        Expr::Paren(paren) => prefix(&mut paren.expr),
        Expr::Group(group) => prefix(&mut group.expr),
        Expr::Unary(unary) => prefix(&mut unary.expr),
        _ => {}
    }
}

/// `self` is the aggregate, and stays what it is in front of a path: `self::rounded(amount)`.
fn replace_self(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    std::iter::from_fn(|| {
        let token = tokens.next()?;
        let is_path =
            matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        Some(match token {
            TokenTree::Ident(ident) if ident == "self" && !is_path => {
                let span = Span::mixed_site().located_at(ident.span());
                TokenTree::Ident(Ident::new("aggregate", span))
            }
            TokenTree::Group(group) => {
                let mut replaced = Group::new(group.delimiter(), replace_self(group.stream()));
                replaced.set_span(group.span());
                TokenTree::Group(replaced)
            }
            other => other,
        })
    })
    .collect()
}
