//! What is asked of the types that are stored, each in one place, so that a missing derive is one error.
//!
//! A bound of a trait is checked again at each implementation of a trait above it. So aggregates and events name
//! themselves once as a [`Same`] type, and that type alone has the bounds.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::aggregate::Aggregate;

/// What is written and read again: a type with `Serialize` and `Deserialize`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored",
    label = "`Serialize` or `Deserialize` is missing: add both to the `#[derive(…)]` of `{Self}`",
    note = "both are in `cim_es::prelude`; what they write needs `serde = \"1\"` in `Cargo.toml`"
)]
pub trait Storable: Sized {
    /// Writes it.
    ///
    /// # Errors
    /// What the serializer reports.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads it.
    ///
    /// # Errors
    /// What the deserializer reports.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

/// What an aggregate's type is asked for: it has a beginning, it is copied, and it is kept in snapshots.
#[diagnostic::on_unimplemented(message = "`{Self}` lacks a derive that an aggregate needs")]
pub trait Keepable: Storable {
    /// Before the first event.
    fn initial() -> Self;
    /// A copy.
    fn copied(&self) -> Self;
}

impl<T: Clone + Default + Storable> Keepable for T {
    fn initial() -> Self {
        Self::default()
    }

    fn copied(&self) -> Self {
        self.clone()
    }
}

/// Says of a type that it is `T` itself.
pub trait Same<T>: Sized {
    fn of_ref(it: &T) -> &Self;
    fn of(it: T) -> Self;
    fn into_it(self) -> T;
}

impl<T> Same<T> for T {
    fn of_ref(it: &T) -> &Self {
        it
    }

    fn of(it: T) -> Self {
        it
    }

    fn into_it(self) -> T {
        self
    }
}

/// An aggregate before its first event.
pub(crate) fn initial<A: Aggregate>() -> A {
    A::Value::initial().into_it()
}

/// A copy of an aggregate.
pub(crate) fn copy_of<A: Aggregate>(aggregate: &A) -> A {
    A::Value::of_ref(aggregate).copied().into_it()
}

/// What is stored, for a serializer.
pub(crate) struct Written<'a, T>(pub(crate) &'a T);

impl<T: Storable> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// What is stored, for a serializer and a deserializer.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Storable> Serialize for Plain<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, T: Storable> Deserialize<'de> for Plain<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}
