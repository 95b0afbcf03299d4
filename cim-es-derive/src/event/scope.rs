//! Which name a statement means: one of the event, one that the statement binds itself, or ordinary Rust.
//!
//! Scopes are followed as the compiler follows them. A name that stands for a field of the event is written as a
//! variable that nothing of the author's can meet, `self` as the aggregate, and `Self` as its type. What cannot be
//! followed is refused: a name taken for the event's by mistake would change what is folded, without a word.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, Block, Expr, ExprAsync, ExprClosure, ExprConst, ExprForLoop, ExprIf, ExprLet,
    ExprWhile, FieldValue, GenericArgument, Local, Macro, Member, Pat, PatIdent, Path, Stmt, Type,
    UnOp, parse_quote, parse_quote_spanned,
};

use super::apply::PAYLOAD;
use super::{format, statement};
use crate::names;

/// What statements can name, and what became of one.
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
    functions: usize,
    refused: Option<(TokenStream, String)>,
}

/// A variable of the generated code: no name of the author's can meet it, whichever macro it came from.
pub(super) fn variable(name: &str, at: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(at))
}

/// The variable that holds a field of the event. Its name differs from the field's: a pattern with the name of a
/// constant would be compared with that.
pub(super) fn holder(field: &Ident) -> Ident {
    let name = names::text(field);
    match name.as_str() {
        PAYLOAD => variable("the_event", field.span()),
        name => variable(&format!("event_{name}"), field.span()),
    }
}

/// The variable that holds the aggregate.
pub(super) fn aggregate(at: Span) -> Ident {
    variable("the_aggregate", at)
}

impl<'a> Scope<'a> {
    pub(super) fn new(event: &'a [Ident], aggregate: &'a Path) -> Self {
        Self {
            event,
            aggregate,
            locals: Vec::new(),
            used: Vec::new(),
            functions: 0,
            refused: None,
        }
    }

    /// Resolves the names of a checked statement in place; gives the names of the event that it uses.
    ///
    /// # Errors
    /// The tokens that cannot be resolved, and what to write instead.
    pub(super) fn resolve(
        mut self,
        statement: &mut Expr,
    ) -> Result<Vec<Ident>, (TokenStream, String)> {
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
        match self.refused {
            None => Ok(self.used),
            Some(refused) => Err(refused),
        }
    }

    /// The place that a statement changes: its leftmost name is a field of the aggregate.
    fn place(&mut self, place: &mut Expr) {
        match place {
            Expr::Path(path) => {
                // All but the variable stands where the author wrote it, so that lints about the statement do too.
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
        if self.refused.is_none() {
            self.refused = Some((tokens.to_token_stream(), message.into()));
        }
    }

    /// What is bound within ends with it.
    pub(super) fn within(&mut self, visit: impl FnOnce(&mut Self)) {
        let outside = self.locals.len();
        visit(self);
        self.locals.truncate(outside);
    }

    /// A function of its own: `return` leaves that, and not the fold.
    fn function(&mut self, visit: impl FnOnce(&mut Self)) {
        self.functions += 1;
        self.within(visit);
        self.functions -= 1;
    }

    /// A constant expression sees no variable, so no name in it is the event's.
    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.within(|scope| {
            scope.locals.extend(scope.event.iter().map(names::text));
            visit(scope);
        });
    }

    fn refuse_end_of_fold(&mut self, tokens: impl ToTokens) {
        if self.functions == 0 {
            self.refuse(
                tokens,
                "this would end the fold before the rest of the event is taken: write it as an `if` or a `match`, or \
                 use `with = path` for a function",
            );
        }
    }
}

impl VisitMut for Scope<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Path(path) if path.qself.is_none() => {
                if let Some(ident) = path.path.get_ident() {
                    if ident == "self" {
                        let aggregate = aggregate(ident.span());
                        *expr = parse_quote!(#aggregate);
                        return;
                    }
                    if let Some(field) = self.field(&names::text(ident)) {
                        let holder = self.use_field(field, ident.span());
                        *expr = parse_quote!(#holder);
                        return;
                    }
                }
            }
            // What is called is a function: a field of an event is data.
            Expr::Call(call) if matches!(&*call.func, Expr::Path(path) if path.path.get_ident().is_some_and(|name| name != "Self")) =>
            {
                for argument in &mut call.args {
                    self.visit_expr_mut(argument);
                }
                return;
            }
            Expr::Assign(assign) => self.refuse_state(&assign.left),
            Expr::Binary(binary) if statement::is_assignment(&binary.op) => {
                self.refuse_state(&binary.left)
            }
            Expr::Reference(reference) if reference.mutability.is_some() => {
                self.refuse_state(&reference.expr)
            }
            Expr::Return(_) => self.refuse_end_of_fold(&*expr),
            Expr::Try(attempt) => self.refuse_end_of_fold(attempt.question_token),
            Expr::Repeat(repeat) => {
                self.visit_expr_mut(&mut repeat.expr);
                self.constant(|scope| scope.visit_expr_mut(&mut repeat.len));
                return;
            }
            Expr::Verbatim(tokens) => {
                let tokens = tokens.clone();
                self.refuse(
                    tokens,
                    "this is not plain Rust: use `with = path` for a function",
                );
            }
            _ => {}
        }
        visit_mut::visit_expr_mut(self, expr);
    }

    fn visit_field_value_mut(&mut self, field: &mut FieldValue) {
        self.visit_expr_mut(&mut field.expr);
        // `Note { title }` is `Note { title: title }`, of which the second is the name.
        if let (Member::Named(member), None) = (&field.member, &field.colon_token)
            && !matches!(&field.expr, Expr::Path(path) if path.path.is_ident(member))
        {
            field.colon_token = Some(parse_quote!(:));
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        self.within(|scope| visit_mut::visit_block_mut(scope, block));
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        if let Stmt::Item(item) = stmt {
            return self.refuse(
                item,
                "declare this beside the enum: within a statement it could hide other names",
            );
        }
        visit_mut::visit_stmt_mut(self, stmt);
    }

    fn visit_local_mut(&mut self, local: &mut Local) {
        self.visit_attributes_mut(&mut local.attrs);
        if let Some(init) = &mut local.init {
            self.visit_expr_mut(&mut init.expr);
            if let Some((_, diverge)) = &mut init.diverge {
                self.visit_expr_mut(diverge);
            }
        }
        self.visit_pat_mut(&mut local.pat);
    }

    fn visit_expr_let_mut(&mut self, condition: &mut ExprLet) {
        self.visit_attributes_mut(&mut condition.attrs);
        self.visit_expr_mut(&mut condition.expr);
        self.visit_pat_mut(&mut condition.pat);
    }

    fn visit_expr_if_mut(&mut self, branch: &mut ExprIf) {
        self.visit_attributes_mut(&mut branch.attrs);
        self.within(|scope| {
            scope.visit_expr_mut(&mut branch.cond);
            scope.visit_block_mut(&mut branch.then_branch);
        });
        if let Some((_, otherwise)) = &mut branch.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_expr_while_mut(&mut self, repeated: &mut ExprWhile) {
        self.within(|scope| visit_mut::visit_expr_while_mut(scope, repeated));
    }

    fn visit_expr_for_loop_mut(&mut self, repeated: &mut ExprForLoop) {
        self.visit_attributes_mut(&mut repeated.attrs);
        self.visit_expr_mut(&mut repeated.expr);
        self.within(|scope| {
            scope.visit_pat_mut(&mut repeated.pat);
            scope.visit_block_mut(&mut repeated.body);
        });
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        self.within(|scope| visit_mut::visit_arm_mut(scope, arm));
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut ExprClosure) {
        self.function(|scope| visit_mut::visit_expr_closure_mut(scope, closure));
    }

    fn visit_expr_async_mut(&mut self, block: &mut ExprAsync) {
        self.function(|scope| visit_mut::visit_expr_async_mut(scope, block));
    }

    fn visit_expr_const_mut(&mut self, block: &mut ExprConst) {
        self.constant(|scope| visit_mut::visit_expr_const_mut(scope, block));
    }

    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        let name = names::text(&pat.ident);
        let may_compare = pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none();
        if may_compare && name.starts_with(char::is_uppercase) {
            // A constant, or a variant: it binds nothing, unless there is no such thing.
            if self.field(&name).is_some() {
                let message = format!(
                    "`{name}` here is a constant or a new variable, which cannot be told apart: write `_`, or another name"
                );
                self.refuse(&pat.ident, message);
            }
            return;
        }
        self.locals.push(name);
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    fn visit_pat_mut(&mut self, pat: &mut Pat) {
        match pat {
            Pat::Verbatim(tokens) => {
                let tokens = tokens.clone();
                self.refuse(
                    tokens,
                    "this pattern is not plain Rust: use `with = path` for a function",
                );
            }
            Pat::Range(_) => self.constant(|scope| visit_mut::visit_pat_mut(scope, pat)),
            _ => visit_mut::visit_pat_mut(self, pat),
        }
    }

    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Array(array) = ty {
            self.visit_type_mut(&mut array.elem);
            return self.constant(|scope| scope.visit_expr_mut(&mut array.len));
        }
        visit_mut::visit_type_mut(self, ty);
    }

    fn visit_generic_argument_mut(&mut self, argument: &mut GenericArgument) {
        match argument {
            GenericArgument::Const(_) | GenericArgument::AssocConst(_) => {
                self.constant(|scope| visit_mut::visit_generic_argument_mut(scope, argument));
            }
            _ => visit_mut::visit_generic_argument_mut(self, argument),
        }
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        own_type(path, self.aggregate);
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_macro_mut(&mut self, mac: &mut Macro) {
        format::resolve(self, mac);
    }

    fn visit_attribute_mut(&mut self, attr: &mut Attribute) {
        if attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr") {
            self.refuse(
                &*attr,
                "a statement is whole or absent: put `#[cfg_attr(condition, apply(…))]` on the variant",
            );
        }
    }
}

impl Scope<'_> {
    /// A place within the aggregate's state.
    fn refuse_state(&mut self, place: &Expr) {
        if let Some(state) = state_of_self(place) {
            self.refuse(
                state,
                "`state` is moved by the machine alone: declare an edge with `#[on(…)]` instead",
            );
        }
    }
}

/// `self.state`, or a place within it.
fn state_of_self(place: &Expr) -> Option<&Expr> {
    match place {
        Expr::Field(field) => {
            let is_state =
                matches!(&field.member, Member::Named(name) if names::text(name) == "state");
            if is_state && is_self(&field.base) {
                return Some(place);
            }
            state_of_self(&field.base)
        }
        Expr::Index(index) => state_of_self(&index.expr),
        Expr::Paren(paren) => state_of_self(&paren.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => state_of_self(&unary.expr),
        _ => None,
    }
}

fn is_self(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.path.is_ident("self"),
        Expr::Paren(paren) => is_self(&paren.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => is_self(&unary.expr),
        _ => false,
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
