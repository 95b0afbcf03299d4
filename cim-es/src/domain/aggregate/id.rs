//! The ids of aggregates: each has a text, under which it is stored.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::{IdText, IdTextError};

/// The id of one aggregate, whose text names it in a store.
///
/// [`Id<A>`] is the usual one. For a type of your own, derive it on a struct with one unnamed field that prints and
/// parses, and name it with `#[aggregate(id = …)]`. The derive writes `Display` and `FromStr` for the struct as well.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate id",
    label = "this type has no text that names an aggregate",
    note = "use `Id<…>`, or add `#[derive(AggregateId)]` to a struct with one unnamed field"
)]
pub trait AggregateId: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// The text of the id.
    ///
    /// # Errors
    /// [`IdTextError`] when it is empty or too long.
    fn text(&self) -> Result<IdText, IdTextError>;

    /// The id that a text stands for.
    ///
    /// # Errors
    /// [`IdError`] when the text is no id of this type.
    fn from_text(text: &IdText) -> Result<Self, IdError>;
}

/// A text that is no id of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no id of {expected}: {reason}", text.escape_debug())]
pub struct IdError {
    /// The text.
    pub text: String,
    /// Of what an id was asked for: the aggregate of an [`Id`], or the type of another id.
    pub expected: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// The id of an aggregate of kind `A`: a UUID v7, which sorts by the time it was made.
///
/// Ids of different kinds are different types:
///
/// ```compile_fail
/// # use cim_es::aggregate::Id;
/// struct Compute;
/// struct Network;
/// let id: Id<Compute> = Id::<Network>::new();
/// ```
pub struct Id<A> {
    uuid: Uuid,
    kind: PhantomData<fn() -> A>,
}

impl<A> Id<A> {
    /// A new id.
    #[allow(
        clippy::new_without_default,
        reason = "a default that differs each time would surprise"
    )]
    pub fn new() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// The id with this UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self {
            uuid,
            kind: PhantomData,
        }
    }

    /// The UUID of this id.
    pub const fn as_uuid(&self) -> Uuid {
        self.uuid
    }
}

impl<A: 'static> AggregateId for Id<A> {
    fn text(&self) -> Result<IdText, IdTextError> {
        IdText::new(&self.to_string())
    }

    fn from_text(text: &IdText) -> Result<Self, IdError> {
        text.as_str().parse()
    }
}

impl<A> Clone for Id<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Id<A> {}

impl<A> PartialEq for Id<A> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<A> Eq for Id<A> {}

impl<A> PartialOrd for Id<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Id<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<A> Hash for Id<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<A> fmt::Debug for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.uuid)
    }
}

impl<A> fmt::Display for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.hyphenated().fmt(f)
    }
}

impl<A> FromStr for Id<A> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid = Uuid::try_parse(text).map_err(|error| IdError {
            text: text.to_owned(),
            expected: short_name::<A>(),
            reason: error.to_string(),
        })?;
        Ok(Self::from_uuid(uuid))
    }
}

/// The name of a type without its path.
fn short_name<A>() -> &'static str {
    let name = std::any::type_name::<A>();
    name.rsplit("::").next().unwrap_or(name)
}

impl<A> From<Uuid> for Id<A> {
    fn from(uuid: Uuid) -> Self {
        Self::from_uuid(uuid)
    }
}

impl<A> From<Id<A>> for Uuid {
    fn from(id: Id<A>) -> Self {
        id.uuid
    }
}

impl<A> Serialize for Id<A> {
    /// As text: an id reads the same in a subject, in an envelope and in a payload.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, A> Deserialize<'de> for Id<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
