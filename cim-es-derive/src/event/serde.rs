//! Refuses the attributes of serde that change how an enum is encoded: a payload is the plain map of one variant's
//! fields, and the type that says which variant it is stands in the envelope.

use syn::{Attribute, Field, Type};

use crate::ctxt::Ctxt;
use crate::names;
use crate::serde_keys::{all, among};

const ON_ENUM: &[&str] = &[
    "tag",
    "content",
    "untagged",
    "from",
    "into",
    "try_from",
    "remote",
    "transparent",
    "field_identifier",
    "variant_identifier",
];
const ON_VARIANT: &[&str] = &[
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "other",
    "untagged",
    "with",
    "serialize_with",
    "deserialize_with",
];
const ON_FIELD: &[&str] = &["skip", "skip_serializing", "skip_deserializing"];

pub(crate) fn refuse_on_enum(ctxt: &Ctxt, attrs: &[Attribute]) {
    for key in among(attrs, ON_ENUM) {
        let name = names::text(&key);
        ctxt.error(
            key,
            format!(
                "`#[serde({name})]` changes how the enum is encoded, and a stored payload is the plain map of one \
                 variant's fields: remove it"
            ),
        );
    }
}

pub(crate) fn refuse_on_variant(ctxt: &Ctxt, attrs: &[Attribute]) {
    for key in among(attrs, ON_VARIANT) {
        let name = names::text(&key);
        ctxt.error(
            key,
            format!("`#[serde({name})]` would keep this event from being stored and read again: remove it"),
        );
    }
}

/// What happened is a fact: each field of it is stored, and read again.
pub(crate) fn refuse_on_field(ctxt: &Ctxt, field: &Field) {
    for key in among(&field.attrs, ON_FIELD) {
        let name = names::text(&key);
        let fate = if key == "skip_deserializing" {
            "ignored when the event is read"
        } else {
            "missing in the stored event"
        };
        ctxt.error(
            key,
            format!(
                "`#[serde({name})]` makes this field {fate}, so its value is lost: remove it, or move the field out of \
                 the event"
            ),
        );
    }
    let keys = all(&field.attrs);
    let find = |name: &str| keys.iter().find(|key| *key == name);
    // Serde reads an absent `Option` as none, unless a function reads it.
    let is_read_when_absent = find("default").is_some()
        || (is_option(&field.ty) && find("with").or(find("deserialize_with")).is_none());
    if let Some(key) = find("skip_serializing_if")
        && !is_read_when_absent
    {
        ctxt.error(
            key,
            "an event without this field could not be read again: add `default`, which says what it is then",
        );
    }
}

fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident == "Option")
        }
        Type::Group(group) => is_option(&group.elem),
        Type::Paren(paren) => is_option(&paren.elem),
        _ => false,
    }
}
