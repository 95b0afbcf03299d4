//! Groups without delimiters: what a macro was given as `$k:expr` arrives as one, and the compiler
//! forgets them in the code that a derive writes. Where they hold more than one operand they are
//! written in parentheses.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprParen, Macro, Type, TypeParen, token};

/// Writes the groups of an expression in parentheses where they matter.
pub(crate) fn delimit(expr: &mut Expr) {
    Delimit.visit_expr_mut(expr);
}

struct Delimit;

impl VisitMut for Delimit {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        if let Expr::Group(group) = expr {
            let inner = std::mem::replace(&mut *group.expr, Expr::PLACEHOLDER);
            *expr = if is_operand(&inner) {
                inner
            } else {
                Expr::Paren(ExprParen {
                    attrs: Vec::new(),
                    paren_token: token::Paren(
                        Span::mixed_site().located_at(group.group_token.span),
                    ),
                    expr: Box::new(inner),
                })
            };
        }
    }

    fn visit_type_mut(&mut self, ty: &mut Type) {
        visit_mut::visit_type_mut(self, ty);
        if let Type::Group(group) = ty {
            let inner = std::mem::replace(&mut *group.elem, Type::Verbatim(TokenStream::new()));
            *ty = match inner {
                Type::TraitObject(_) | Type::ImplTrait(_) | Type::FnPtr(_) => {
                    Type::Paren(TypeParen {
                        attrs: Vec::new(),
                        paren_token: token::Paren(group.group_token.span),
                        elem: Box::new(inner),
                    })
                }
                other => other,
            };
        }
    }

    fn visit_macro_mut(&mut self, mac: &mut Macro) {
        mac.tokens = tokens(std::mem::take(&mut mac.tokens));
    }
}

/// Whether an expression binds tighter than any operator, so that parentheses would change nothing.
fn is_operand(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Array(_)
            | Expr::Call(_)
            | Expr::Field(_)
            | Expr::Index(_)
            | Expr::Lit(_)
            | Expr::Macro(_)
            | Expr::MethodCall(_)
            | Expr::Paren(_)
            | Expr::Path(_)
            | Expr::Tuple(_)
    )
}

/// The tokens with their groups written out: without anything around a single token, and in
/// parentheses around an expression with an operator. What else a group may hold, such as a path,
/// is left as it is.
fn tokens(stream: TokenStream) -> TokenStream {
    let one = |tree: TokenTree| {
        let TokenTree::Group(group) = tree else {
            return tree.into_token_stream();
        };
        let inner = tokens(group.stream());
        if group.delimiter() != Delimiter::None {
            let mut written = Group::new(group.delimiter(), inner);
            written.set_span(group.span());
            return TokenTree::Group(written).into_token_stream();
        }
        let is_single = inner.clone().into_iter().nth(1).is_none();
        match syn::parse2::<Expr>(inner.clone()) {
            Ok(expr) if !is_single && !is_operand(&expr) => quote!((#inner)),
            Ok(_) => inner,
            Err(_) => TokenTree::Group(Group::new(Delimiter::None, inner)).into_token_stream(),
        }
    };
    stream.into_iter().map(one).collect()
}
