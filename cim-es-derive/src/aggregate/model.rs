//! An aggregate as it was declared.

use proc_macro2::Ident;
use syn::{Attribute, Fields, LitInt, LitStr, Path, Type};

pub(crate) struct Aggregate {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    /// The fields with their types and attributes.
    pub declared: Fields,
    pub domain: String,
    pub name: String,
    pub id: Option<Type>,
    pub state: Type,
    pub error: Option<Type>,
    /// The function that lists the unique names.
    pub unique: Option<Path>,
    /// The scopes of the unique names; none where they are not said.
    pub scopes: Vec<LitStr>,
    /// Raised where a function folds otherwise than before.
    pub fold: Option<LitInt>,
    /// Former kinds, `<domain>.<name>`.
    pub was: Vec<LitStr>,
    /// The kinds of other aggregates that may have the same ids.
    pub shares_ids_with: Vec<LitStr>,
    /// The fields that belong to states.
    pub in_states: Vec<InStates>,
    /// The field that holds the state; none when it is missing, which is reported.
    pub field: Option<Ident>,
}

/// A field that has its default in all states but some.
pub(crate) struct InStates {
    pub field: Ident,
    pub states: Vec<Ident>,
}
