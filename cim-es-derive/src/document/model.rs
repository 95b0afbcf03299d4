//! A document as it was declared.

use proc_macro2::Ident;
use syn::{Attribute, Fields, Type};

pub(crate) struct Document {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    /// The fields with their types and attributes.
    pub declared: Fields,
    /// The fields by which documents are found.
    pub indexes: Vec<Index>,
}

/// A field with `#[index]`.
pub(crate) struct Index {
    pub field: Ident,
    pub ty: Type,
}
