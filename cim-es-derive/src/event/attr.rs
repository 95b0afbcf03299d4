//! Reads `#[event(…)]` and `#[upcast(…)]`, and the shapes of the variants.

use proc_macro2::Ident;
use syn::{Data, DeriveInput, Fields, Lit, LitStr, Path};

use super::model::{Events, Owner, Shape, Step, Tail, Upcast, Variant, WireName};
use super::{apply, serde};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{kind, names, reexport, shape};

const ON_VARIANT: &str = "on a variant of the enum";

keys! {
    /// The keys of `#[event(…)]` on the enum.
    EnumKey of "event" {
        Aggregate = "aggregate",
        Domain = "domain",
        Name = "name",
        Was = "was",
        Crate = "crate",
    }
    repeatable { Was }
    elsewhere {
        "operation" => "on a variant",
        "subject" => "on a variant",
        "was_subject" => "on a variant",
        "version" => "on a variant",
        "retired" => "on a variant",
    }
}

keys! {
    /// The keys of `#[event(…)]` on a variant.
    VariantKey of "event" {
        Operation = "operation",
        Subject = "subject",
        Was = "was",
        WasSubject = "was_subject",
        Version = "version",
        Retired = "retired",
    }
    repeatable { Was, WasSubject }
    elsewhere {
        "aggregate" => "on the enum",
        "domain" => "on the enum",
        "name" => "on the enum",
        "crate" => "on the enum",
        "keep" => "on a field",
    }
}

keys! {
    /// The keys of `#[event(…)]` on a field.
    FieldKey of "event" {
        Keep = "keep",
    }
    elsewhere {
        "aggregate" => "on the enum",
        "operation" => "on a variant",
        "subject" => "on a variant",
        "was" => "on a variant",
        "was_subject" => "on a variant",
        "version" => "on a variant",
        "retired" => "on a variant",
    }
}

keys! {
    /// The keys of `#[upcast(…)]`.
    UpcastKey of "upcast" {
        From = "from",
        With = "with",
        WithEnvelope = "with_envelope",
        IntoSeveral = "into_several",
    }
}

pub(crate) fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Events> {
    shape::refuse_generics(ctxt, input, "an enum of events")?;
    let ident = &input.ident;
    let Data::Enum(data) = &input.data else {
        ctxt.error(
            ident,
            "events are an enum: each variant is one kind of event",
        );
        return None;
    };
    attr::misplaced(ctxt, &input.attrs, &["apply", "upcast"], ON_VARIANT);
    serde::refuse_on_enum(ctxt, &input.attrs);

    let owner = owner(ctxt, input)?;
    let variants = data
        .variants
        .iter()
        .map(|declared| variant(ctxt, declared, &owner))
        .collect();
    Some(Events {
        ident: ident.clone(),
        attrs: input.attrs.clone(),
        owner,
        variants,
    })
}

/// Whose events they are: those of an aggregate that is named or follows from the name, or, where `domain` and `name`
/// stand here, of one that is declared elsewhere.
fn owner(ctxt: &Ctxt, input: &DeriveInput) -> Option<Owner> {
    let ident = &input.ident;
    let mut aggregate: Option<(Ident, Path)> = None;
    let (mut domain, mut name, mut was) = (None, None, Vec::new());
    let mut first_of_kind: Option<Ident> = None;
    let mut keys = Keys::new();
    keys.read_all(ctxt, &input.attrs, |key, ident, value| {
        attr::equals(ident, value)?;
        if matches!(key, EnumKey::Domain | EnumKey::Name | EnumKey::Was) {
            first_of_kind.get_or_insert_with(|| ident.clone());
        }
        match key {
            EnumKey::Aggregate => aggregate = Some((ident.clone(), value.parse()?)),
            EnumKey::Domain => {
                domain = Some(names::tokens(ctxt, attr::literal(value)?, "domain", 1));
            }
            EnumKey::Name => {
                name = Some(names::tokens(ctxt, attr::literal(value)?, "name", 1));
            }
            EnumKey::Was => was.extend(kind::read(ctxt, attr::literal(value)?)),
            EnumKey::Crate => {
                reexport::check(value)?;
            }
        }
        Ok(())
    });
    if let (Some((key, path)), Some(_)) = (&aggregate, &first_of_kind) {
        ctxt.error(
            key,
            "events have an aggregate here, whose `#[aggregate(…)]` says its domain and its name, or one that is declared \
             elsewhere, by `domain` and `name`: keep one",
        );
        return Some(Owner::Aggregate(path.clone()));
    }
    let Some(first) = first_of_kind else {
        return aggregate
            .map(|(_, path)| path)
            .or_else(|| names::sibling(ident, "Event", ""))
            .or_else(|| {
                ctxt.error(
                    ident,
                    format!(
                        "`{}` does not end in `Event`, so its aggregate must be named: add `#[event(aggregate = …)]`",
                        names::text(ident)
                    ),
                );
                names::guessed_sibling(ident, "")
            })
            .map(Owner::Aggregate);
    };
    for (key, value) in [("domain", &domain), ("name", &name)] {
        if value.is_none() && !keys.has_refused {
            ctxt.error(
                &first,
                format!(
                    "events of an aggregate that is declared elsewhere need its domain and its name: add `{key} = \"…\"`; \
                     where the aggregate is declared here, its domain, its name and what they were belong into \
                     `#[aggregate(…)]`"
                ),
            );
        }
    }
    if let Some(Some(domain)) = &domain {
        kind::refuse_reserved(ctxt, domain);
    }
    if let (Some(Some(domain)), Some(Some(name))) = (&domain, &name) {
        let own = format!("{}.{}", domain.value(), name.value());
        kind::refuse_repeated(ctxt, &own, &was, &[]);
    }
    let text =
        |value: Option<Option<LitStr>>| value.flatten().map_or_else(String::new, |lit| lit.value());
    Some(Owner::Elsewhere {
        domain: text(domain),
        name: text(name),
        was,
    })
}

fn variant(ctxt: &Ctxt, declared: &syn::Variant, owner: &Owner) -> Variant {
    serde::refuse_on_variant(ctxt, &declared.attrs);
    let shape = shape(ctxt, declared);
    let mut keys = Keys::new();
    let (mut name, mut former, mut version) = (None, Vec::new(), None);
    let (mut is_named, mut retired) = (false, None);
    let mut set_name = |ctxt: &Ctxt, tail: fn(String) -> Tail, lit: Lit| {
        let wire_name = wire_name(ctxt, tail, lit);
        match (&name, wire_name) {
            (Some(_), Some(further)) => ctxt.error(
                &further.literal,
                "`subject` sets aggregate and operation, so `operation` beside it has no meaning: keep one",
            ),
            (None, Some(first)) => name = Some(first),
            (_, None) => {}
        }
    };
    keys.read_all(ctxt, &declared.attrs, |key, ident, value| {
        if key == VariantKey::Retired {
            attr::flag(ident, value)?;
        } else {
            attr::equals(ident, value)?;
        }
        match key {
            VariantKey::Operation => {
                is_named = true;
                set_name(ctxt, Tail::Operation, attr::literal(value)?);
            }
            VariantKey::Subject => {
                is_named = true;
                set_name(ctxt, Tail::Subject, attr::literal(value)?);
            }
            VariantKey::Was => {
                former.extend(wire_name(ctxt, Tail::Operation, attr::literal(value)?));
            }
            VariantKey::WasSubject => {
                former.extend(wire_name(ctxt, Tail::Subject, attr::literal(value)?));
            }
            VariantKey::Version => version = attr::number(ctxt, value, "a version")?,
            VariantKey::Retired => retired = Some(ident.clone()),
        }
        Ok(())
    });
    let mut upcasts = Vec::new();
    let mut is_chain_misread = false;
    let attrs = declared.attrs.iter();
    for attr in attrs.filter(|attr| attr.path().is_ident("upcast")) {
        let upcast = upcast(ctxt, attr);
        is_chain_misread |= upcast.is_none();
        upcasts.extend(upcast);
    }
    let default = names::snake_case(&names::text(&declared.ident));
    if !is_named && let Err(mistake) = names::check(&default, "operation", 1) {
        ctxt.error(
            &declared.ident,
            format!("the {mistake}; set another with `#[event(operation = \"…\")]`"),
        );
    }
    Variant {
        ident: declared.ident.clone(),
        attrs: declared.attrs.clone(),
        declared: declared.fields.clone(),
        name: name.unwrap_or(WireName {
            tail: Tail::Operation(default),
            literal: None,
        }),
        former,
        version,
        retired,
        upcasts,
        kept: kept(ctxt, declared, owner),
        is_chain_misread: is_chain_misread || keys.has_refused,
        apply: match owner {
            Owner::Aggregate(aggregate) => apply::read(ctxt, declared, &shape, aggregate),
            Owner::Elsewhere { .. } => apply::refuse(ctxt, declared),
        },
        shape,
    }
}

/// The fields with `#[event(keep)]`, each with the key.
fn kept(ctxt: &Ctxt, variant: &syn::Variant, owner: &Owner) -> Vec<(Ident, Ident)> {
    let mut kept = Vec::new();
    for field in &variant.fields {
        Keys::new().read_all(ctxt, &field.attrs, |key, name, value| {
            match key {
                FieldKey::Keep => {
                    attr::flag(name, value)?;
                    match &field.ident {
                        _ if matches!(owner, Owner::Elsewhere { .. }) => ctxt.error(
                            name,
                            "`keep` is about an aggregate's field, and these events fold into none here: remove it",
                        ),
                        Some(field) => kept.push((field.clone(), name.clone())),
                        None => ctxt.error(
                            name,
                            "`keep` is about assignment by name, and this field has none: say in `#[apply(…)]` where \
                             its content goes",
                        ),
                    }
                }
            }
            Ok(())
        });
    }
    kept
}

fn shape(ctxt: &Ctxt, variant: &syn::Variant) -> Shape {
    for field in &variant.fields {
        attr::misplaced(ctxt, &field.attrs, &["apply", "upcast"], ON_VARIANT);
        serde::refuse_on_field(ctxt, field);
    }
    match &variant.fields {
        Fields::Unit => Shape::Unit,
        Fields::Named(fields) => Shape::Named(
            fields
                .named
                .iter()
                .filter_map(|field| field.ident.clone())
                .collect(),
        ),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Shape::Payload,
        Fields::Unnamed(fields) => {
            let name = names::text(&variant.ident);
            ctxt.error(
                fields,
                format!(
                    "event `{name}` has {} fields without a name, and a payload is a map of names: \
                     write `{name} {{ … }}` with named fields, or `{name}(Payload)` with one struct",
                    if fields.unnamed.is_empty() { "no".to_owned() } else { fields.unnamed.len().to_string() }
                ),
            );
            Shape::Refused
        }
    }
}

fn wire_name(ctxt: &Ctxt, tail: fn(String) -> Tail, lit: Lit) -> Option<WireName> {
    let (what, least) = match tail(String::new()) {
        Tail::Operation(_) => ("operation", 1),
        Tail::Subject(_) => ("subject", 2),
    };
    let literal = names::tokens(ctxt, lit, what, least)?;
    Some(WireName {
        tail: tail(LitStr::value(&literal)),
        literal: Some(literal),
    })
}

fn upcast(ctxt: &Ctxt, attr: &syn::Attribute) -> Option<Upcast> {
    let (mut from, mut step) = (None, None);
    let mut keys = Keys::new();
    let mut is_misread = false;
    keys.read(ctxt, attr, |key, ident, value| {
        attr::equals(ident, value)?;
        let mut set_step = |given| match step {
            Some(_) => ctxt.error(
                ident,
                "an upcaster has one function: keep one of `with`, `with_envelope` and `into_several`",
            ),
            None => step = Some(given),
        };
        match key {
            UpcastKey::From => {
                from = attr::number(ctxt, value, "a version")?;
                is_misread = from.is_none();
            }
            UpcastKey::With => set_step(Step::Payload(value.parse()?)),
            UpcastKey::WithEnvelope => set_step(Step::WithEnvelope(value.parse()?)),
            UpcastKey::IntoSeveral => set_step(Step::IntoSeveral(value.parse()?)),
        }
        Ok(())
    });
    let is_from_missing = from.is_none();
    if let (Some(from), Some(step)) = (from, step) {
        return Some(Upcast { from, step });
    }
    if !is_misread && !keys.has_refused {
        let missing = if is_from_missing {
            "from = 1"
        } else {
            "with = path"
        };
        ctxt.error(
            attr,
            format!(
                "an upcaster names the version that it reads and its function: `{missing}` is missing"
            ),
        );
    }
    None
}
