//! The statements of `#[apply(…)]`: which ones there are.

use proc_macro2::{Ident, TokenStream};
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

/// The field of the aggregate that a statement changes.
pub(super) fn changed(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Assign(assign) => leftmost(&assign.left),
        Expr::Binary(binary) => leftmost(&binary.left),
        other => leftmost(other),
    }
}

pub(super) fn is_assignment(op: &BinOp) -> bool {
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
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => leftmost(&unary.expr),
        _ => None,
    }
}
