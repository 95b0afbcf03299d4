//! Reads `#[event(…)]` and `#[upcast(…)]`, and the shapes of the variants.

use proc_macro2::Ident;
use syn::{Data, DeriveInput, Fields, Lit, LitStr, Path};

use super::model::{Events, Shape, Step, Tail, Upcast, Variant, WireName};
use super::{apply, serde};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{names, reexport, shape};

const ON_VARIANT: &str = "on a variant of the enum";

keys! {
    /// The keys of `#[event(…)]` on the enum.
    EnumKey of "event" {
        Aggregate = "aggregate",
        Crate = "crate",
    }
    elsewhere {
        "operation" => "on a variant",
        "subject" => "on a variant",
        "was" => "on a variant",
        "was_subject" => "on a variant",
        "version" => "on a variant",
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
    }
    repeatable { Was, WasSubject }
    elsewhere {
        "aggregate" => "on the enum",
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
    }
}

keys! {
    /// The keys of `#[upcast(…)]`.
    UpcastKey of "upcast" {
        From = "from",
        With = "with",
        WithEnvelope = "with_envelope",
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

    let mut aggregate = None;
    Keys::new().read_all(ctxt, &input.attrs, |key, name, value| {
        attr::equals(name, value)?;
        match key {
            EnumKey::Aggregate => aggregate = Some(value.parse::<Path>()?),
            EnumKey::Crate => {
                reexport::check(value)?;
            }
        }
        Ok(())
    });
    let convention = || names::sibling(ident, "Event", "");
    let aggregate = aggregate.or_else(convention).or_else(|| {
        ctxt.error(
            ident,
            format!(
                "`{}` does not end in `Event`, so its aggregate must be named: add `#[event(aggregate = …)]`",
                names::text(ident)
            ),
        );
        names::guessed_sibling(ident, "")
    })?;
    let variants = data
        .variants
        .iter()
        .map(|declared| variant(ctxt, declared, &aggregate))
        .collect();
    Some(Events {
        ident: ident.clone(),
        attrs: input.attrs.clone(),
        aggregate,
        variants,
    })
}

fn variant(ctxt: &Ctxt, declared: &syn::Variant, aggregate: &Path) -> Variant {
    serde::refuse_on_variant(ctxt, &declared.attrs);
    let shape = shape(ctxt, declared);
    let mut keys = Keys::new();
    let (mut name, mut former, mut version) = (None, Vec::new(), None);
    let mut is_named = false;
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
        attr::equals(ident, value)?;
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
        upcasts,
        kept: kept(ctxt, declared),
        is_chain_misread: is_chain_misread || keys.has_refused,
        apply: apply::read(ctxt, declared, &shape, aggregate),
        shape,
    }
}

/// The fields with `#[event(keep)]`, each with the key.
fn kept(ctxt: &Ctxt, variant: &syn::Variant) -> Vec<(Ident, Ident)> {
    let mut kept = Vec::new();
    for field in &variant.fields {
        Keys::new().read_all(ctxt, &field.attrs, |key, name, value| {
            match key {
                FieldKey::Keep => {
                    attr::flag(name, value)?;
                    match &field.ident {
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
        serde::refuse_on_field(ctxt, &field.attrs);
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
                "an upcaster has one function: keep `with` or `with_envelope`",
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
