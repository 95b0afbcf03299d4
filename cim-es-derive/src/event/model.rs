//! Events as they were declared; each part keeps its tokens, so that a message can point at them.

use proc_macro2::Ident;
use syn::{Attribute, Expr, Fields, LitInt, LitStr, Path, Type};

use crate::names;

pub(crate) struct Events {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    pub owner: Owner,
    pub variants: Vec<Variant>,
}

/// Whose events they are.
pub(crate) enum Owner {
    /// An aggregate of this program, into which they fold.
    Aggregate(Path),
    /// An aggregate that is declared in another program: here its events are read, and no more.
    Elsewhere {
        domain: String,
        name: String,
        /// Former kinds, `<domain>.<name>`.
        was: Vec<LitStr>,
    },
}

pub(crate) struct Variant {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    /// The fields with their types and attributes.
    pub declared: Fields,
    pub shape: Shape,
    pub name: WireName,
    pub former: Vec<WireName>,
    pub version: Option<LitInt>,
    /// The key that says that nothing is read as this event any more.
    pub retired: Option<Ident>,
    pub upcasts: Vec<Upcast>,
    /// Fields that leave the aggregate's as it is when they are absent, by their `keep`.
    pub kept: Vec<(Ident, Ident)>,
    /// Set when an attribute on versions was not understood, which is reported.
    pub is_chain_misread: bool,
    pub apply: Apply,
}

pub(crate) enum Shape {
    Unit,
    /// Named fields.
    Named(Vec<Ident>),
    /// One struct without a name, which holds the fields.
    Payload,
    /// What was refused; nothing more is said about it.
    Refused,
}

/// What follows the domain in a subject.
pub(crate) struct WireName {
    pub tail: Tail,
    /// The literal that says it; none for the default, which comes from the variant's name.
    pub literal: Option<LitStr>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Behind the aggregate's name.
    Operation(String),
    /// Aggregate and operation.
    Subject(String),
}

/// `#[upcast(from = 1, with = path)]`.
pub(crate) struct Upcast {
    pub from: LitInt,
    pub step: Step,
}

/// The function of an upcaster.
pub(crate) enum Step {
    /// `with`: it takes the payload.
    Payload(Path),
    /// `with_envelope`: it takes the payload and a view of the envelope.
    WithEnvelope(Path),
    /// `into_several`: it takes the same, and gives the events as which the stored one is read.
    IntoSeveral(Path),
}

/// What takes the fields of a variant into the aggregate.
pub(crate) enum Apply {
    /// Each field goes into the aggregate's field of the same name, unless a statement names it.
    Fields {
        statements: Vec<Statement>,
        dropped: Vec<Ident>,
    },
    /// A function gets the aggregate and all fields.
    With(Path),
    /// What was refused; nothing more is said about it.
    Refused,
}

/// A statement on a field of the aggregate, with its names resolved, and the event's fields that it uses.
pub(crate) struct Statement {
    /// As it was written.
    pub source: Expr,
    pub expr: Expr,
    pub names: Vec<Ident>,
}

impl Events {
    /// The aggregate into which they fold; none where that is declared elsewhere.
    pub(crate) fn aggregate(&self) -> Option<&Path> {
        match &self.owner {
            Owner::Aggregate(aggregate) => Some(aggregate),
            Owner::Elsewhere { .. } => None,
        }
    }
}

impl Variant {
    pub(crate) fn name(&self) -> String {
        names::text(&self.ident)
    }

    pub(crate) fn fields(&self) -> &[Ident] {
        match &self.shape {
            Shape::Named(fields) => fields,
            _ => &[],
        }
    }

    /// The type of the one struct that holds the fields.
    pub(crate) fn payload(&self) -> Option<&Type> {
        let is_payload = matches!(self.shape, Shape::Payload);
        self.declared
            .iter()
            .next()
            .map(|field| &field.ty)
            .filter(|_| is_payload)
    }

    /// Whether some of what is stored of this event is read as several.
    pub(crate) fn is_several(&self) -> bool {
        let mut upcasts = self.upcasts.iter();
        upcasts.any(|upcast| matches!(upcast.step, Step::IntoSeveral(_)))
    }

    /// Whether a field leaves the aggregate's as it is when it is absent.
    pub(crate) fn keeps(&self, field: &Ident) -> bool {
        self.kept.iter().any(|(kept, _)| kept == field)
    }

    /// The version that is written; 1 unless set.
    pub(crate) fn schema(&self) -> u32 {
        self.version
            .as_ref()
            .and_then(|version| version.base10_parse().ok())
            .unwrap_or(1)
    }
}
