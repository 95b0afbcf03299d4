//! Reads `#[aggregate(…)]` and finds the field that holds the state.

use proc_macro2::Ident;
use quote::{ToTokens, format_ident};
use syn::parse::ParseStream;
use syn::{Data, DeriveInput, Field, Fields, Lit, LitStr, Path, Token, Type, parse_quote};

use super::model::{Aggregate, InStates};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{kind, names, reexport, serde_keys, shape};

keys! {
    /// The keys of `#[aggregate(…)]`.
    AggregateKey of "aggregate" {
        Domain = "domain",
        Name = "name",
        Id = "id",
        State = "state",
        Error = "error",
        Fold = "fold",
        Unique = "unique",
        Scope = "scope",
        Was = "was",
        SharesIdsWith = "shares_ids_with",
        Crate = "crate",
    }
    repeatable { Scope, Was, SharesIdsWith }
    elsewhere {
        "event" => "into `#[machine(…)]` on the enum of states",
        "command" => "into `#[machine(…)]` on the enum of states",
        "output" => "into `#[machine(…)]` on the enum of states",
    }
}

pub(crate) fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Aggregate> {
    shape::refuse_generics(ctxt, input, "an aggregate")?;
    let ident = &input.ident;
    let Data::Struct(data) = &input.data else {
        ctxt.error(
            ident,
            "an aggregate is a struct: its fields are what the events fold into",
        );
        return None;
    };
    for field in &data.fields {
        attr::misplaced(ctxt, &field.attrs, &["aggregate"], "on the struct");
    }
    attr::misplaced(ctxt, &input.attrs, &["in_state"], "on a field");
    refuse_absent_state(ctxt, &data.fields);
    let in_states = in_states(ctxt, &data.fields);

    let mut keys = Keys::new();
    let (mut domain, mut name) = (None, None);
    let mut unique: Option<Path> = None;
    let mut fold = None;
    let mut scopes = Vec::new();
    let (mut was, mut shares_ids_with) = (Vec::new(), Vec::new());
    let (mut id, mut state, mut error): (Option<Type>, Option<Type>, Option<Type>) =
        (None, None, None);
    keys.read_all(ctxt, &input.attrs, |key, ident, value| {
        attr::equals(ident, value)?;
        match key {
            AggregateKey::Domain => {
                domain = Some(names::tokens(ctxt, attr::literal(value)?, "domain", 1));
            }
            AggregateKey::Name => {
                name = Some(names::tokens(ctxt, attr::literal(value)?, "name", 1));
            }
            AggregateKey::Id => id = Some(value.parse()?),
            AggregateKey::State => state = Some(value.parse()?),
            AggregateKey::Error => error = Some(value.parse()?),
            AggregateKey::Unique => unique = Some(function(value)?),
            AggregateKey::Scope => scopes.extend(scope(ctxt, attr::literal(value)?)),
            AggregateKey::Was => was.extend(kind::read(ctxt, attr::literal(value)?)),
            AggregateKey::SharesIdsWith => {
                shares_ids_with.extend(kind::read(ctxt, attr::literal(value)?));
            }
            AggregateKey::Crate => {
                reexport::check(value)?;
            }
            AggregateKey::Fold => fold = attr::number(ctxt, value, "a fold")?,
        }
        Ok(())
    });
    if let Some(Some(domain)) = &domain {
        kind::refuse_reserved(ctxt, domain);
    }
    for (key, value) in [("domain", &domain), ("name", &name)] {
        if value.is_none() && !keys.has_refused {
            ctxt.error(
                ident,
                format!("the aggregate has no {key}: add `#[aggregate({key} = \"…\")]`, it is part of every subject"),
            );
        }
    }

    refuse_idle_scopes(ctxt, &scopes, unique.is_some());
    let field = state_field(&data.fields);
    if field.is_none() {
        ctxt.error(
            ident,
            format!(
                "the aggregate has no field `state`: add `state: {}State`",
                names::text(ident)
            ),
        );
    }
    if let (Some(named), Some((_, declared))) = (&state, &field)
        && last_segment(named) != last_segment(declared)
    {
        ctxt.error(
            named,
            format!(
                "the field `state` is a `{}`: name the same type, or leave `state = …` out",
                declared.to_token_stream()
            ),
        );
        state = None;
    }
    let declared = field.as_ref().map(|(_, ty)| ty.clone());
    // Without the field the convention says what its type would be.
    let state = state.or(declared).unwrap_or_else(|| {
        let convention = format_ident!("{}State", names::text(ident), span = ident.span());
        parse_quote!(#convention)
    });
    if let (Some(Some(domain)), Some(Some(name))) = (&domain, &name) {
        let own = format!("{}.{}", domain.value(), name.value());
        kind::refuse_repeated(ctxt, &own, &was, &shares_ids_with);
    }
    let text =
        |value: Option<Option<LitStr>>| value.flatten().map_or_else(String::new, |lit| lit.value());
    Some(Aggregate {
        ident: ident.clone(),
        attrs: input.attrs.clone(),
        declared: data.fields.clone(),
        domain: text(domain),
        name: text(name),
        id,
        state,
        error,
        unique,
        scopes,
        fold,
        was,
        shares_ids_with,
        in_states,
        field: field.map(|(field, _)| field),
    })
}

/// The fields with `#[in_state(…)]`.
fn in_states(ctxt: &Ctxt, fields: &Fields) -> Vec<InStates> {
    let mut found = Vec::new();
    for field in fields {
        let mut attrs = field
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("in_state"));
        let (Some(attr), Some(name)) = (attrs.next(), &field.ident) else {
            continue;
        };
        if let Some(second) = attrs.next() {
            ctxt.error(
                second,
                "`#[in_state(…)]` is given twice: write `#[in_state(State | State)]`",
            );
        }
        if names::text(name) == "state" {
            ctxt.error(
                attr,
                "`state` is the state itself, in each of them: remove this",
            );
            continue;
        }
        let list = attr::list(ctxt, attr, "in_state", "State | State");
        if let Some(states) = list.and_then(|list| ctxt.keep(list.parse_args_with(states))) {
            found.push(InStates {
                field: name.clone(),
                states,
            });
        }
    }
    found
}

/// `State | State`.
fn states(input: ParseStream) -> syn::Result<Vec<Ident>> {
    let form = "`#[in_state(State | State)]`";
    let mut states = Vec::new();
    loop {
        let state = input.parse().map_err(|error: syn::Error| {
            syn::Error::new(error.span(), format!("expected a state: {form}"))
        });
        states.push(state?);
        if input.is_empty() {
            return Ok(states);
        }
        if !input.peek(Token![|]) {
            return Err(input.error(format!("expected `|` and another state: {form}")));
        }
        input.parse::<Token![|]>()?;
    }
}

/// The path of a function.
fn function(input: ParseStream) -> syn::Result<Path> {
    input.parse().map_err(|error| {
        let expected = "expected the path of a function that lists the names, such as `unique = Compute::unique_names`";
        syn::Error::new(error.span(), expected)
    })
}

/// The scope of unique names: one token.
fn scope(ctxt: &Ctxt, lit: Lit) -> Option<LitStr> {
    let scope = names::tokens(ctxt, lit, "scope", 1)?;
    if scope.value().contains('.') {
        ctxt.error(
            &scope,
            "a scope is one token: it is the last part of a kind, behind the domain",
        );
        return None;
    }
    Some(scope)
}

/// A scope is one of names that a function lists, and is said once.
fn refuse_idle_scopes(ctxt: &Ctxt, scopes: &[LitStr], has_names: bool) {
    for (at, scope) in scopes.iter().enumerate() {
        if !has_names {
            ctxt.error(
                scope,
                "a scope is one of unique names: add `unique = …` with the function that lists them",
            );
        } else if scopes[..at]
            .iter()
            .any(|known| known.value() == scope.value())
        {
            ctxt.error(scope, "the scope is given twice: remove it here");
        }
    }
}

/// A snapshot keeps the state with the other fields.
fn refuse_absent_state(ctxt: &Ctxt, fields: &Fields) {
    let state = fields.iter().filter(|field| is_state(field));
    let absent = ["skip", "skip_serializing", "skip_deserializing"];
    for key in state.flat_map(|field| serde_keys::among(&field.attrs, &absent)) {
        let name = names::text(&key);
        ctxt.error(
            key,
            format!("by `#[serde({name})]` an aggregate that is read from a snapshot is in its first state: remove it"),
        );
    }
}

/// The name of a type, without the path in front of it.
fn last_segment(ty: &Type) -> Option<&Ident> {
    let Type::Path(path) = ty else {
        return None;
    };
    path.path.segments.last().map(|segment| &segment.ident)
}

fn state_field(fields: &Fields) -> Option<(Ident, Type)> {
    let field = fields.iter().find(|field| is_state(field))?;
    Some((field.ident.clone()?, field.ty.clone()))
}

fn is_state(field: &Field) -> bool {
    let name = field.ident.as_ref();
    name.is_some_and(|name| names::text(name) == "state")
}
