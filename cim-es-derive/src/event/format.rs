//! The macros within statements: those of the standard library are followed, format strings
//! included. What another macro makes of a name cannot be seen from outside of it.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::visit_mut::VisitMut;
use syn::{Expr, Lit, LitStr, Macro, Pat, Token};

use super::placeholder::placeholders;
use super::scope::{Scope, aggregate};
use crate::names;

/// What the arguments of a macro are.
enum Kind {
    /// Expressions up to the format string, which is the argument at this place, and what it
    /// formats.
    Format(usize),
    /// Expressions.
    Expressions,
    /// A value, and a pattern that it is compared with.
    Matches,
    /// Tokens that name nothing.
    Text,
}

fn kind(mac: &Macro) -> Option<Kind> {
    let first = &mac.path.segments.first()?.ident;
    let is_of_another =
        mac.path.segments.len() > 1 && !["std", "core", "alloc"].iter().any(|name| first == name);
    if is_of_another {
        return None;
    }
    let name = names::text(&mac.path.segments.last()?.ident);
    Some(match name.as_str() {
        "format" | "format_args" | "print" | "println" | "eprint" | "eprintln" | "panic"
        | "todo" | "unimplemented" | "unreachable" => Kind::Format(0),
        "write" | "writeln" | "assert" | "debug_assert" => Kind::Format(1),
        "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne" => Kind::Format(2),
        "vec" | "dbg" => Kind::Expressions,
        "matches" => Kind::Matches,
        "concat" | "stringify" | "env" | "option_env" | "include_str" | "include_bytes"
        | "line" | "file" | "column" | "module_path" | "cfg" | "compile_error" => Kind::Text,
        _ => return None,
    })
}

/// Resolves the names in a macro's arguments.
pub(super) fn resolve(scope: &mut Scope, mac: &mut Macro) {
    let resolved = match kind(mac) {
        Some(Kind::Text) => return,
        Some(Kind::Format(at)) => Arguments::parse
            .parse2(mac.tokens.clone())
            .map(|arguments| arguments.resolved(scope, at)),
        Some(Kind::Expressions) => mac
            .parse_body::<Expressions>()
            .map(|list| list.resolved(scope)),
        Some(Kind::Matches) => mac
            .parse_body::<Matches>()
            .map(|matches| matches.resolved(scope)),
        None => return refuse_names(scope, mac),
    };
    match resolved {
        Ok(tokens) => mac.tokens = tokens,
        Err(_) => refuse_names(scope, mac),
    }
}

/// A macro that is not known gets no name whose meaning depends on it.
fn refuse_names(scope: &mut Scope, mac: &Macro) {
    if let Some((token, name)) = meant(scope, mac.tokens.clone()) {
        let path = mac.path.to_token_stream().to_string().replace(' ', "");
        let message = match name.as_str() {
            "return" => format!(
                "whether this ends the fold depends on `{path}!`: use `with = path` for a function"
            ),
            "Self" => format!("what `Self` means depends on `{path}!`: name the type"),
            "self" => format!(
                "what `self` means depends on `{path}!`: give the value another name first, \
                 `{{ let value = self.field.clone(); {path}!(value) }}`, or use `with = path` for a function"
            ),
            name => format!(
                "what `{name}` means depends on `{path}!`: give the field another name first, \
                 `{{ let value = {name}; {path}!(value) }}`, or use `with = path` for a function"
            ),
        };
        scope.refuse(token, message);
    }
}

/// The first token that may stand for a name of the event, for the aggregate or for its type.
fn meant(scope: &Scope, tokens: TokenStream) -> Option<(TokenTree, String)> {
    let is_meant =
        |name: &str| matches!(name, "self" | "Self" | "return") || scope.field(name).is_some();
    tokens.into_iter().find_map(|token| match &token {
        TokenTree::Group(group) => meant(scope, group.stream()),
        TokenTree::Ident(ident) => {
            let name = names::text(ident);
            is_meant(&name).then_some((token, name))
        }
        TokenTree::Literal(literal) => {
            let text: LitStr = syn::parse2(literal.to_token_stream()).ok()?;
            let name = placeholders(&text.value())
                .into_iter()
                .find(|name| is_meant(name))?;
            Some((token, name))
        }
        TokenTree::Punct(_) => None,
    })
}

/// The arguments of a formatting macro; those behind the format string may have a name.
struct Arguments(Punctuated<Argument, Token![,]>);

struct Argument {
    name: Option<Ident>,
    value: Expr,
}

impl Arguments {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        Ok(Self(Punctuated::parse_terminated(input)?))
    }

    fn resolved(mut self, scope: &mut Scope, at: usize) -> TokenStream {
        let named: Vec<String> = self
            .0
            .iter()
            .filter_map(|argument| argument.name.as_ref())
            .map(names::text)
            .collect();
        let text = self
            .0
            .iter()
            .nth(at)
            .and_then(|argument| text(&argument.value))
            .cloned();
        for argument in &mut self.0 {
            scope.visit_expr_mut(&mut argument.value);
        }
        let mut captured = TokenStream::new();
        if let Some(text) = text {
            let mut names = placeholders(&text.value());
            names.sort();
            names.dedup();
            for name in names.iter().filter(|name| !named.contains(name)) {
                if name == "self" {
                    let aggregate = aggregate(text.span());
                    captured.extend(quote!(, self = *#aggregate));
                } else if let Some(field) = scope.field(name) {
                    let holder = scope.use_field(field, text.span());
                    let name = field.unraw();
                    let name = if syn::parse_str::<Ident>(&name.to_string()).is_ok() {
                        name
                    } else {
                        format_ident!("r#{}", name)
                    };
                    captured.extend(quote!(, #name = #holder));
                }
            }
        }
        let arguments = self.0.iter();
        quote!(#(#arguments),* #captured)
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let is_named = input.peek(Ident::peek_any)
            && input.peek2(Token![=])
            && !input.peek2(Token![==])
            && !input.peek2(Token![=>]);
        let name = if is_named {
            let name = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            Some(name)
        } else {
            None
        };
        Ok(Self {
            name,
            value: input.parse()?,
        })
    }
}

impl ToTokens for Argument {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Some(name) = &self.name {
            tokens.extend(quote!(#name =));
        }
        self.value.to_tokens(tokens);
    }
}

/// The text of a format string.
fn text(expr: &Expr) -> Option<&LitStr> {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        Expr::Paren(paren) => text(&paren.expr),
        _ => None,
    }
}

/// `a, b` or `a; length`.
struct Expressions(TokenStream, Vec<Expr>, Option<Expr>);

impl Parse for Expressions {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut list = Vec::new();
        while !input.is_empty() {
            list.push(input.parse()?);
            if input.peek(Token![;]) && list.len() == 1 {
                let semicolon: Token![;] = input.parse()?;
                return Ok(Self(
                    semicolon.to_token_stream(),
                    list,
                    Some(input.parse()?),
                ));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self(TokenStream::new(), list, None))
    }
}

impl Expressions {
    fn resolved(mut self, scope: &mut Scope) -> TokenStream {
        for expr in self.1.iter_mut().chain(&mut self.2) {
            scope.visit_expr_mut(expr);
        }
        let Self(semicolon, list, length) = self;
        quote!(#(#list),* #semicolon #length)
    }
}

/// `value, pattern if guard`.
struct Matches {
    value: Expr,
    pattern: Pat,
    guard: Option<Expr>,
}

impl Parse for Matches {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let value = input.parse()?;
        input.parse::<Token![,]>()?;
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        let guard = if input.peek(Token![if]) {
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        input.parse::<Option<Token![,]>>()?;
        Ok(Self {
            value,
            pattern,
            guard,
        })
    }
}

impl Matches {
    fn resolved(mut self, scope: &mut Scope) -> TokenStream {
        scope.visit_expr_mut(&mut self.value);
        scope.within(|scope| {
            scope.visit_pat_mut(&mut self.pattern);
            if let Some(guard) = &mut self.guard {
                scope.visit_expr_mut(guard);
            }
        });
        let Self {
            value,
            pattern,
            guard,
        } = self;
        let guard = guard.map(|guard| quote!(if #guard));
        quote!(#value, #pattern #guard)
    }
}
