//! What a document can be found by.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::domain::aggregate::Id;
use crate::domain::message::Timestamp;
use crate::store::Position;

/// A value that documents are found by: a text, a number, a bool, an id, a value object, an enum
/// without data; an option of one, or a list.
///
/// The entry is the text of what serde writes: a text as it is, a whole number in decimal digits, a
/// bool as `true` or `false`, a state of an enum by its name (with `#[serde(rename…)]`). An option that
/// is empty has no entry, and a list has one for each of its values. For a type of your own,
/// `#[derive(IndexField)]` on an enum without data, or on a struct with one unnamed field.
///
/// Floats and structs have no one text, so they do not compile:
///
/// ```compile_fail
/// # use cim_es::document::Document;
/// # use cim_es::prelude::*;
/// #[derive(Document, Serialize, Deserialize)]
/// struct Card {
///     #[index]
///     weight: f64,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "documents cannot be found by a `{Self}`",
    label = "this has no one text that a document is found by",
    note = "an index is a text, a whole number, a bool, an id, a value object or an enum without data, an `Option` or a list of them; for a type of your own add `#[derive(IndexField)]`"
)]
pub trait IndexField: Serialize {}

macro_rules! index_fields {
    ($($name:ty),* $(,)?) => {
        $(impl IndexField for $name {})*
    };
}

index_fields! {
    String, str, char, bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, Uuid, Timestamp, Position,
}

impl<A> IndexField for Id<A> {}
impl<T: IndexField + ?Sized> IndexField for &T {}
impl<T: IndexField> IndexField for Option<T> {}
impl<T: IndexField> IndexField for Vec<T> {}
impl<T: IndexField> IndexField for [T] {}
impl<T: IndexField, const N: usize> IndexField for [T; N] where [T; N]: Serialize {}
impl<T: IndexField> IndexField for BTreeSet<T> {}
impl<T: IndexField, S> IndexField for HashSet<T, S> {}
impl<T: IndexField + ?Sized> IndexField for Box<T> {}
impl<T: IndexField + ?Sized> IndexField for Arc<T> where Arc<T>: Serialize {}
