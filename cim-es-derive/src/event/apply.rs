//! Reads `#[apply(…)]`: statements on the aggregate's fields, fields that are dropped, or a function.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, BinOp, Expr, Path, Token, UnOp};

use super::model::{Apply, Shape, Statement};
use crate::attr;
use crate::ctxt::Ctxt;
use crate::names;

/// What the payload struct of `Variant(Payload)` is called in statements.
pub(super) const PAYLOAD: &str = "event";

const CONTENT: &str = "field = value, field.method(value), _ = field, with = path";

/// One part of an attribute.
enum Part {
    Statement(Expr),
    Dropped(Vec<Ident>),
    With(Ident, Path),
}

pub(crate) fn read(ctxt: &Ctxt, variant: &syn::Variant, shape: &Shape) -> Apply {
    let attrs: Vec<&Attribute> = variant
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("apply"))
        .collect();
    if attrs.is_empty() {
        if matches!(shape, Shape::Payload) {
            let name = names::text(&variant.ident);
            ctxt.error(
                &variant.ident,
                format!(
                    "the fields of event `{name}` are in a struct of their own, so say where they go: \
                     `#[apply(field = {PAYLOAD}.field)]`, `#[apply(with = path)]`, or `#[apply(_ = {PAYLOAD})]` for nowhere"
                ),
            );
            return Apply::Refused;
        }
        return Apply::Fields {
            statements: Vec::new(),
            dropped: Vec::new(),
        };
    }
    let mut parts = Vec::new();
    let mut is_whole = true;
    for attr in attrs {
        let Some(list) = attr::list(ctxt, attr, "apply", CONTENT) else {
            is_whole = false;
            continue;
        };
        match ctxt.keep(list.parse_args_with(parse_parts)) {
            Some(more) => parts.extend(more),
            None => is_whole = false,
        }
    }
    let scope = scope(variant, shape);
    match collect(ctxt, parts, &scope, &names::text(&variant.ident)) {
        Some(apply) if is_whole => apply,
        _ => Apply::Refused,
    }
}

/// The names of the event that statements can use.
fn scope(variant: &syn::Variant, shape: &Shape) -> Vec<Ident> {
    match shape {
        Shape::Named(fields) => fields.clone(),
        Shape::Payload => vec![Ident::new(PAYLOAD, variant.ident.span())],
        Shape::Unit | Shape::Refused => Vec::new(),
    }
}

fn parse_parts(input: ParseStream) -> syn::Result<Vec<Part>> {
    let mut parts = Vec::new();
    while !input.is_empty() {
        parts.push(part(input)?);
        if !input.is_empty() {
            input.parse::<Token![,]>().map_err(|error| {
                syn::Error::new(
                    error.span(),
                    "this does not continue the statement before it: put a `,` between statements",
                )
            })?;
        }
    }
    Ok(parts)
}

fn part(input: ParseStream) -> syn::Result<Part> {
    if input.peek(Token![_]) && input.peek2(Token![=]) {
        input.parse::<Token![_]>()?;
        input.parse::<Token![=]>()?;
        return dropped(input).map(Part::Dropped);
    }
    let is_with = input
        .fork()
        .parse::<Ident>()
        .is_ok_and(|name| name == "with");
    if is_with && input.peek2(Token![=]) {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        return Ok(Part::With(key, input.parse()?));
    }
    refuse_keyword(input)?;
    let statement: Expr = input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            format!("this statement is not finished or not Rust: {error}"),
        )
    })?;
    Ok(Part::Statement(statement))
}

/// `_ = reason` or `_ = (reason, by)`.
fn dropped(input: ParseStream) -> syn::Result<Vec<Ident>> {
    let one = |input: ParseStream| {
        input.parse::<Ident>().map_err(|error| {
            syn::Error::new(
                error.span(),
                "`_ =` is followed by a field of the event, or by several in parentheses",
            )
        })
    };
    if !input.peek(syn::token::Paren) {
        return Ok(vec![one(input)?]);
    }
    let inner;
    syn::parenthesized!(inner in input);
    let mut fields = Vec::new();
    while !inner.is_empty() {
        fields.push(one(&inner)?);
        if !inner.is_empty() {
            inner.parse::<Token![,]>()?;
        }
    }
    Ok(fields)
}

/// A statement begins with a field; `let`, `if` and the like begin something else.
fn refuse_keyword(input: ParseStream) -> syn::Result<()> {
    let Ok(first) = input.fork().call(Ident::parse_any) else {
        return Ok(());
    };
    if input.fork().parse::<Ident>().is_ok() {
        return Ok(());
    }
    let message = if first == "self" {
        "leave out `self.` in front: a statement begins with a field of the aggregate".to_owned()
    } else {
        format!(
            "`{first}` cannot begin a statement: begin with a field of the aggregate, or use `with = path` for a function"
        )
    };
    Err(syn::Error::new(first.span(), message))
}

fn collect(ctxt: &Ctxt, parts: Vec<Part>, scope: &[Ident], event: &str) -> Option<Apply> {
    let mut statements = Vec::new();
    let mut dropped: Vec<Ident> = Vec::new();
    let mut with: Option<(Ident, Path)> = None;
    let mut is_whole = true;
    let mut wrong = |tokens: &dyn ToTokens, message: String| {
        is_whole = false;
        ctxt.error(tokens, message);
    };
    for part in parts {
        match part {
            Part::Statement(expr) => {
                if let Err((tokens, message)) = check_statement(&expr) {
                    wrong(&tokens, message.to_owned());
                    continue;
                }
                let names = named(&expr, scope);
                statements.push(Statement { expr, names });
            }
            Part::Dropped(fields) => {
                for field in fields {
                    let name = names::text(&field);
                    if !scope.contains(&field) {
                        let known: Vec<String> = scope.iter().map(names::text).collect();
                        let hint = names::suggestion(&name, known.iter().map(String::as_str));
                        wrong(
                            &field,
                            format!("event `{event}` has no field `{name}`{hint}"),
                        );
                    } else if dropped.contains(&field) {
                        wrong(&field, format!("`{name}` is dropped twice: keep one"));
                    } else {
                        dropped.push(field);
                    }
                }
            }
            Part::With(key, path) => {
                if with.is_some() {
                    wrong(&key, "`with` is given twice: keep one".to_owned());
                } else {
                    with = Some((key, path));
                }
            }
        }
    }
    for field in &dropped {
        if statements
            .iter()
            .any(|statement| statement.names.contains(field))
        {
            let name = names::text(field);
            wrong(
                field,
                format!("`{name}` is dropped here, and a statement uses it: keep one"),
            );
        }
    }
    if let Some((key, path)) = with {
        if !statements.is_empty() || !dropped.is_empty() {
            wrong(
                &key,
                "`with` gets all fields of the event, so nothing can stand beside it: move the rest into the function".to_owned(),
            );
        }
        return is_whole.then_some(Apply::With(path));
    }
    is_whole.then_some(Apply::Fields {
        statements,
        dropped,
    })
}

/// A statement changes a field: it assigns to one, or calls a method on one.
fn check_statement(expr: &Expr) -> Result<(), (TokenStream, &'static str)> {
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
fn named(expr: &Expr, scope: &[Ident]) -> Vec<Ident> {
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
