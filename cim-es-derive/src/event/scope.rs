//! Which name a statement means: one of the event, one that the statement binds itself, or ordinary
//! Rust.
//!
//! A name that stands for a field of the event is written as a variable that nothing of the
//! author's can meet, `self` as the aggregate, and `Self` as its type. What cannot be resolved is
//! refused: a name taken for the event's by mistake would change what is folded, without a word.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Expr, Path, parse_quote_spanned};

use super::apply::PAYLOAD;
use crate::names;

/// Tokens that cannot be resolved, and what to write instead.
pub(super) type Refusal = (TokenStream, String);

/// What a statement can name, and what it named so far.
pub(super) struct Scope<'a> {
    /// The names of the event.
    pub event: &'a [Ident],
    /// The type of the aggregate.
    pub aggregate: &'a Path,
    /// The names that the statement binds, the innermost last.
    pub(super) locals: Vec<String>,
    /// The names of the event that were used, each once.
    used: Vec<Ident>,
    /// How many functions within the statement stand around: closures, and blocks of their own.
    pub(super) functions: usize,
    refused: Vec<Refusal>,
}

/// The variable that holds a field of the event. Its name differs from the field's: a pattern with
/// the name of a constant would be compared with that.
pub(super) fn holder(field: &Ident) -> Ident {
    let name = names::text(field);
    match name.as_str() {
        PAYLOAD => names::variable("the_event", field.span()),
        name => names::variable(&format!("event_{name}"), field.span()),
    }
}

/// The variable that holds the aggregate.
pub(super) fn aggregate(at: Span) -> Ident {
    names::variable("the_aggregate", at)
}

impl<'a> Scope<'a> {
    pub(super) fn new(event: &'a [Ident], aggregate: &'a Path) -> Self {
        Self {
            event,
            aggregate,
            locals: Vec::new(),
            used: Vec::new(),
            functions: 0,
            refused: Vec::new(),
        }
    }

    /// Resolves the names of a checked statement in place; gives the names of the event that it
    /// uses.
    ///
    /// # Errors All that cannot be resolved.
    pub(super) fn resolve(mut self, statement: &mut Expr) -> Result<Vec<Ident>, Vec<Refusal>> {
        match statement {
            Expr::Assign(assign) => {
                self.place(&mut assign.left);
                self.visit_expr_mut(&mut assign.right);
            }
            Expr::Binary(binary) => {
                self.place(&mut binary.left);
                self.visit_expr_mut(&mut binary.right);
            }
            place => self.place(place),
        }
        if self.refused.is_empty() {
            Ok(self.used)
        } else {
            Err(self.refused)
        }
    }

    /// The place that a statement changes: its leftmost name is a field of the aggregate.
    fn place(&mut self, place: &mut Expr) {
        match place {
            Expr::Path(path) => {
                // All but the variable stands where the author wrote it, so that lints about the
                // statement do too.
                let aggregate = aggregate(path.span());
                *place = parse_quote_spanned!(path.span()=> (*#aggregate).#path);
            }
            Expr::Field(field) => self.place(&mut field.base),
            Expr::Index(index) => {
                self.place(&mut index.expr);
                self.visit_expr_mut(&mut index.index);
            }
            Expr::MethodCall(call) => {
                self.place(&mut call.receiver);
                if let Some(turbofish) = &mut call.turbofish {
                    self.visit_angle_bracketed_generic_arguments_mut(turbofish);
                }
                for argument in &mut call.args {
                    self.visit_expr_mut(argument);
                }
            }
            Expr::Paren(paren) => self.place(&mut paren.expr),
            Expr::Unary(unary) => self.place(&mut unary.expr),
            // What else there is was refused as a statement.
            _ => {}
        }
    }

    /// The name of the event that an identifier stands for, unless the statement binds it.
    pub(super) fn field(&self, name: &str) -> Option<&'a Ident> {
        if self.locals.iter().any(|local| local == name) {
            return None;
        }
        self.event.iter().find(|field| names::text(field) == name)
    }

    /// The variable that stands for a name of the event, which counts as used.
    pub(super) fn use_field(&mut self, field: &Ident, at: Span) -> Ident {
        if !self.used.contains(field) {
            self.used.push(field.clone());
        }
        let mut holder = holder(field);
        holder.set_span(holder.span().located_at(at));
        holder
    }

    pub(super) fn refuse(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.refused
            .push((tokens.to_token_stream(), message.into()));
    }

    /// What is bound within ends with it.
    pub(super) fn within(&mut self, visit: impl FnOnce(&mut Self)) {
        let outside = self.locals.len();
        visit(self);
        self.locals.truncate(outside);
    }

    /// A function of its own: `return` leaves that, and not the fold.
    pub(super) fn function(&mut self, visit: impl FnOnce(&mut Self)) {
        self.functions += 1;
        self.within(visit);
        self.functions -= 1;
    }

    /// A constant expression sees no variable, so no name in it is the event's.
    pub(super) fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.within(|scope| {
            scope.locals.extend(scope.event.iter().map(names::text));
            visit(scope);
        });
    }
}

/// Writes `Self` as the aggregate's type: in the generated code it would be that of the events.
pub(super) fn own_type(path: &mut Path, aggregate: &Path) {
    let Some(first) = path.segments.first() else {
        return;
    };
    if path.leading_colon.is_some() || first.ident != "Self" {
        return;
    }
    let at = first.ident.span();
    let mut named = aggregate.clone();
    for segment in &mut named.segments {
        let span = segment.ident.span().located_at(at);
        segment.ident.set_span(span);
    }
    let rest = std::mem::take(&mut path.segments).into_iter().skip(1);
    named.segments.extend(rest);
    *path = named;
}
