//! Follows the scopes of a statement as the compiler does: what each expression, pattern and block
//! binds, and where that ends.

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, Block, Expr, ExprAsync, ExprClosure, ExprConst, ExprForLoop, ExprIf, ExprLet,
    ExprWhile, FieldValue, GenericArgument, Local, Macro, Member, Pat, PatIdent, Path, Stmt, Type,
    UnOp, parse_quote,
};

use super::scope::{Scope, aggregate, own_type};
use super::{format, statement};
use crate::names;

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
            Expr::Call(call) if is_name(&call.func) => {
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
    fn refuse_end_of_fold(&mut self, tokens: impl ToTokens) {
        if self.functions == 0 {
            self.refuse(
                tokens,
                "this would end the fold before the rest of the event is taken: write it as an `if` or a `match`, or \
                 use `with = path` for a function",
            );
        }
    }

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

/// A name alone, and not a type's.
fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Path(path) if path.path.get_ident().is_some_and(|name| name != "Self"))
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
