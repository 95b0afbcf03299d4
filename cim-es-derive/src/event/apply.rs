//! Reads `#[apply(…)]`: statements on the aggregate's fields, fields that are dropped, or a function.

use std::fmt::Display;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Expr, Path, Token};

use super::model::{Apply, Shape, Statement};
use super::scope::{self, Scope};
use super::statement;
use crate::attr;
use crate::ctxt::Ctxt;
use crate::{group, names};

/// What the payload struct of `Variant(Payload)` is called in statements.
pub(super) const PAYLOAD: &str = "event";

const CONTENT: &str = "field = value, field.method(value), _ = field, with = path";

/// One part of an attribute.
enum Part {
    Statement(Expr),
    Dropped(Vec<Ident>),
    With(Ident, Path),
}

pub(crate) fn read(ctxt: &Ctxt, variant: &syn::Variant, shape: &Shape, aggregate: &Path) -> Apply {
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
    let scope = scope(variant, shape);
    let mut collector = Collector {
        ctxt,
        event: names::text(&variant.ident),
        scope: &scope,
        aggregate,
        statements: Vec::new(),
        dropped: Vec::new(),
        with: None,
        is_whole: true,
    };
    for attr in attrs {
        let list = attr::list(ctxt, attr, "apply", CONTENT);
        match list.and_then(|list| ctxt.keep(list.parse_args_with(parse_parts))) {
            Some(parts) => parts.into_iter().for_each(|part| collector.add(part)),
            None => collector.is_whole = false,
        }
    }
    let Some(apply) = collector.finish() else {
        return Apply::Refused;
    };
    if matches!(shape, Shape::Payload) && !takes_payload(&apply) {
        refuse_unused_payload(ctxt, variant);
    }
    apply
}

/// Events of an aggregate that is declared elsewhere are folded there.
pub(crate) fn refuse(ctxt: &Ctxt, variant: &syn::Variant) -> Apply {
    for attr in &variant.attrs {
        if attr.path().is_ident("apply") {
            ctxt.error(
                attr,
                "the aggregate of these events is declared elsewhere, where they are folded: remove `#[apply(…)]`",
            );
        }
    }
    Apply::Fields {
        statements: Vec::new(),
        dropped: Vec::new(),
    }
}

fn takes_payload(apply: &Apply) -> bool {
    match apply {
        Apply::Fields {
            statements,
            dropped,
        } => {
            !dropped.is_empty()
                || statements
                    .iter()
                    .any(|statement| !statement.names.is_empty())
        }
        Apply::With(_) | Apply::Refused => true,
    }
}

fn refuse_unused_payload(ctxt: &Ctxt, variant: &syn::Variant) {
    let name = names::text(&variant.ident);
    ctxt.error(
        &variant.fields,
        format!(
            "no statement uses the struct of event `{name}`, which is called `{PAYLOAD}` there: \
             write `field = {PAYLOAD}.field`, or add `_ = {PAYLOAD}` if nothing of it is kept"
        ),
    );
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
    if input.peek(Token![#]) {
        return Err(input.error(
            "a statement has no attributes: put `#[cfg_attr(condition, apply(…))]` on the variant",
        ));
    }
    let statement: Expr = input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            format!("this statement is not finished or not Rust: {error}"),
        )
    })?;
    Ok(Part::Statement(whole(statement)))
}

/// A statement that another macro was given as `$statement:expr`.
fn whole(statement: Expr) -> Expr {
    match statement {
        Expr::Group(group) => whole(*group.expr),
        statement => statement,
    }
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

/// Puts the parts of a variant's attributes together; none when one of them is wrong, which is reported.
struct Collector<'a> {
    ctxt: &'a Ctxt,
    event: String,
    scope: &'a [Ident],
    aggregate: &'a Path,
    statements: Vec<Statement>,
    dropped: Vec<Ident>,
    with: Option<(Ident, Path)>,
    is_whole: bool,
}

impl Collector<'_> {
    fn add(&mut self, part: Part) {
        match part {
            Part::Statement(expr) => self.add_statement(expr),
            Part::Dropped(fields) => fields.into_iter().for_each(|field| self.drop_field(field)),
            Part::With(key, _) if self.with.is_some() => {
                self.refuse(key, "`with` is given twice: keep one");
            }
            Part::With(key, mut path) => {
                scope::own_type(&mut path, self.aggregate);
                self.with = Some((key, path));
            }
        }
    }

    fn add_statement(&mut self, mut expr: Expr) {
        group::delimit(&mut expr);
        if let Err((tokens, message)) = statement::check(&expr) {
            return self.refuse(tokens, message);
        }
        let source = expr.clone();
        match Scope::new(self.scope, self.aggregate).resolve(&mut expr) {
            Ok(names) => self.statements.push(Statement {
                source,
                expr,
                names,
            }),
            Err(refusals) => {
                for (tokens, message) in refusals {
                    self.refuse(tokens, message);
                }
            }
        }
    }

    fn drop_field(&mut self, field: Ident) {
        let name = names::text(&field);
        if !self.scope.contains(&field) {
            let known: Vec<String> = self.scope.iter().map(names::text).collect();
            let hint = names::suggestion(&name, known.iter().map(String::as_str));
            let message = format!("event `{}` has no field `{name}`{hint}", self.event);
            return self.refuse(field, message);
        }
        if self.dropped.contains(&field) {
            return self.refuse(field, format!("`{name}` is dropped twice: keep one"));
        }
        self.dropped.push(field);
    }

    fn finish(mut self) -> Option<Apply> {
        let uses = |field: &&Ident| {
            let mut statements = self.statements.iter();
            statements.any(|statement| statement.names.contains(field))
        };
        if let Some(field) = self.dropped.iter().find(uses).cloned() {
            let name = names::text(&field);
            self.refuse(
                field,
                format!("`{name}` is dropped here, and a statement uses it: keep one"),
            );
        }
        let stands_alone = self.statements.is_empty() && self.dropped.is_empty();
        if let Some((key, _)) = &self.with
            && !stands_alone
        {
            self.refuse(
                key.clone(),
                "`with` gets all fields of the event, so nothing can stand beside it: move the rest into the function",
            );
        }
        let apply = match self.with {
            Some((_, path)) => Apply::With(path),
            None => Apply::Fields {
                statements: self.statements,
                dropped: self.dropped,
            },
        };
        self.is_whole.then_some(apply)
    }

    fn refuse(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.is_whole = false;
        self.ctxt.error(tokens, message);
    }
}
