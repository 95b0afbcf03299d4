//! The statements of `#[apply(…)]`: which ones there are, and which names of the event they use.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{BinOp, Expr, UnOp};

use crate::names;

/// A statement changes a field: it assigns to one, or calls a method on one.
pub(super) fn check(expr: &Expr) -> Result<(), (TokenStream, &'static str)> {
    let place = match expr {
        Expr::Assign(assign) => &*assign.left,
        Expr::Binary(binary) if is_assignment(&binary.op) => &*binary.left,
        Expr::MethodCall(call) => &*call.receiver,
        _ => {
            return Err((
                expr.to_token_stream(),
                "this does not change the aggregate: write `field = value`, `field += value` or \
                 `field.method(value)`, or use `with = path` for a function",
            ));
        }
    };
    match leftmost(place) {
        None => Err((
            place.to_token_stream(),
            "a statement begins with a field of the aggregate",
        )),
        Some(field) if names::text(field) == "state" => Err((
            field.to_token_stream(),
            "`state` is moved by the machine alone: declare an edge with `#[on(…)]` instead",
        )),
        Some(_) => Ok(()),
    }
}

fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}

/// The name with which a place begins.
fn leftmost(place: &Expr) -> Option<&Ident> {
    match place {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Expr::Field(field) => leftmost(&field.base),
        Expr::Index(index) => leftmost(&index.expr),
        Expr::MethodCall(call) => leftmost(&call.receiver),
        Expr::Paren(paren) => leftmost(&paren.expr),
        Expr::Group(group) => leftmost(&group.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => leftmost(&unary.expr),
        _ => None,
    }
}

/// The names of the event that a statement uses, each once.
pub(super) fn named(expr: &Expr, scope: &[Ident]) -> Vec<Ident> {
    let mut found = Vec::new();
    let mut skip = assigned_name(expr).map(names::text);
    find(expr.to_token_stream(), scope, &mut skip, &mut found);
    found
}

fn assigned_name(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Assign(assign) => leftmost(&assign.left),
        Expr::Binary(binary) => leftmost(&binary.left),
        other => leftmost(other),
    }
}

/// Collects names of `scope` that stand for a value: not behind `.`, not a part of a path, not the key of a struct.
/// The first occurrence of `skip` is the aggregate's field.
fn find(tokens: TokenStream, scope: &[Ident], skip: &mut Option<String>, found: &mut Vec<Ident>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let punct = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
        _ => None,
    };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => find(group.stream(), scope, skip, found),
            TokenTree::Literal(literal) => {
                // `format!("{reason}")` names a field too.
                let text = literal.to_string();
                let is_formatted = |name: &&Ident| is_formatted(&text, &names::text(name));
                found.extend(scope.iter().filter(is_formatted).map(|name| {
                    let mut name = name.clone();
                    name.set_span(literal.span());
                    name
                }));
            }
            TokenTree::Ident(ident) => {
                if skip.as_deref() == Some(names::text(ident).as_str()) {
                    *skip = None;
                    continue;
                }
                let before = punct(at.checked_sub(1));
                let is_range = before == Some('.') && punct(at.checked_sub(2)) == Some('.');
                let after = (punct(Some(at + 1)), punct(Some(at + 2)));
                let is_member = before == Some('.') && !is_range;
                let is_path = before == Some(':') && punct(at.checked_sub(2)) == Some(':')
                    || after == (Some(':'), Some(':'));
                let is_key = after.0 == Some(':');
                if !is_member && !is_path && !is_key && scope.contains(ident) {
                    found.push(ident.clone());
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
    let mut unique: Vec<Ident> = Vec::new();
    for name in found.drain(..) {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    *found = unique;
}

/// Whether a literal is a text with the name in braces.
fn is_formatted(literal: &str, name: &str) -> bool {
    literal.contains(&format!("{{{name}}}")) || literal.contains(&format!("{{{name}:"))
}
