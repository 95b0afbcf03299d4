//! Reads `#[aggregate(…)]` and finds the field that holds the state.

use proc_macro2::Ident;
use quote::{ToTokens, format_ident};
use syn::parse::ParseStream;
use syn::{Data, DeriveInput, Fields, Lit, LitStr, Path, Token, Type, parse_quote};

use super::model::{Aggregate, InStates};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{names, reexport, shape};

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
        Was = "was",
        SharesIdsWith = "shares_ids_with",
        Crate = "crate",
    }
    repeatable { Was, SharesIdsWith }
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
    let in_states = in_states(ctxt, &data.fields);

    let mut keys = Keys::new();
    let (mut domain, mut name) = (None, None);
    let mut unique: Option<Path> = None;
    let mut fold = None;
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
            AggregateKey::Was => was.extend(kind(ctxt, attr::literal(value)?)),
            AggregateKey::SharesIdsWith => {
                shares_ids_with.extend(kind(ctxt, attr::literal(value)?));
            }
            AggregateKey::Crate => {
                reexport::check(value)?;
            }
            AggregateKey::Fold => fold = attr::number(ctxt, value, "a fold")?,
        }
        Ok(())
    });
    if let Some(Some(domain)) = &domain {
        refuse_reserved(ctxt, domain);
    }
    for (key, value) in [("domain", &domain), ("name", &name)] {
        if value.is_none() && !keys.has_refused {
            ctxt.error(
                ident,
                format!("the aggregate has no {key}: add `#[aggregate({key} = \"…\")]`, it is part of every subject"),
            );
        }
    }

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
        refuse_repeated_kinds(ctxt, &own, &was, &shares_ids_with);
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

/// `<domain>.<name>` of an aggregate.
fn kind(ctxt: &Ctxt, lit: Lit) -> Option<LitStr> {
    let kind = names::tokens(ctxt, lit, "kind", 2)?;
    refuse_reserved(ctxt, &kind);
    Some(kind)
}

/// A kind is this aggregate's own, a former one of it, or another aggregate's.
fn refuse_repeated_kinds(ctxt: &Ctxt, own: &str, was: &[LitStr], shares_ids_with: &[LitStr]) {
    let mut known = vec![(own.to_owned(), "the aggregate's present name")];
    let former = was
        .iter()
        .map(|kind| (kind, "a former name of the aggregate"));
    let others = shares_ids_with
        .iter()
        .map(|kind| (kind, "another aggregate that may have its ids"));
    for (kind, what) in former.chain(others) {
        let text = kind.value();
        if let Some((_, is)) = known.iter().find(|(other, _)| *other == text) {
            ctxt.error(kind, format!("`{text}` is {is} already: remove it here"));
        }
        known.push((text, what));
    }
}

/// The first token of a public subject must not be one of the store's or the server's own.
fn refuse_reserved(ctxt: &Ctxt, domain: &LitStr) {
    let value = domain.value();
    let first = value.split('.').next().unwrap_or_default();
    if first == "es" {
        ctxt.error(
            domain,
            "a domain cannot begin with `es`: events are stored under that token",
        );
    } else if first.starts_with('_') {
        ctxt.error(
            domain,
            format!("a domain cannot begin with `{first}`: tokens with `_` in front are the server's own"),
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
    fields.iter().find_map(|field| {
        let ident = field.ident.as_ref()?;
        (names::text(ident) == "state").then(|| (ident.clone(), field.ty.clone()))
    })
}
