//! Refuses the attributes of serde by which a state would be read as another one: a snapshot keeps the state as serde
//! writes it.

use syn::Attribute;

use crate::ctxt::Ctxt;
use crate::names;
use crate::serde_keys::among;

const ON_ENUM: &[&str] = &["untagged"];
const ON_STATE: &[&str] = &[
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "other",
    "untagged",
];

pub(crate) fn refuse_on_enum(ctxt: &Ctxt, attrs: &[Attribute]) {
    refuse(ctxt, attrs, ON_ENUM);
}

pub(crate) fn refuse_on_state(ctxt: &Ctxt, attrs: &[Attribute]) {
    refuse(ctxt, attrs, ON_STATE);
}

fn refuse(ctxt: &Ctxt, attrs: &[Attribute], refused: &[&str]) {
    for key in among(attrs, refused) {
        let name = names::text(&key);
        ctxt.error(
            key,
            format!(
                "by `#[serde({name})]` a state is not read again from a snapshot as the one that it was: remove it"
            ),
        );
    }
}
