//! A projection as it was declared.

use proc_macro2::Ident;
use syn::{Attribute, Expr, Fields, LitInt, LitStr, Path, Type};

pub(crate) struct Projection {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    /// The fields with their types and attributes.
    pub declared: Fields,
    /// Whether it is a struct without fields.
    pub is_empty: bool,
    /// None when it is missing, which is reported.
    pub name: Option<LitStr>,
    pub version: Option<LitInt>,
    pub events: Vec<Listed>,
    pub home: Home,
}

/// Events that the projection takes.
pub(crate) struct Listed {
    pub events: Path,
    /// The variants that it takes; none for all of them.
    pub choice: Option<Vec<Ident>>,
}

/// Where the projection keeps what it makes of the events.
pub(crate) enum Home {
    /// In the value itself.
    Value,
    /// In documents of a type.
    Documents(Box<Type>),
    /// In tables that SQL declares, for one database or for both.
    Tables {
        sqlite: Option<Box<Expr>>,
        postgres: Option<Box<Expr>>,
    },
}
