//! A machine as it was declared; each part keeps its tokens, so that a message can point at them.

use proc_macro2::Ident;
use syn::{Attribute, Expr, Path, Token, Type};

use crate::names;

pub(crate) struct Machine {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    pub event: Path,
    pub command: Path,
    pub output: Option<Type>,
    pub states: Vec<State>,
}

pub(crate) struct State {
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    pub initial: Option<Ident>,
    pub terminal: Option<Ident>,
    /// The key, and the value of the output.
    pub output: Option<(Ident, Expr)>,
    pub edges: Vec<Edge>,
    /// Set when one of its attributes was not understood, which is reported.
    pub is_misread: bool,
}

/// `Command / Event => Target`.
#[derive(Clone)]
pub(crate) struct Edge {
    pub command: Option<Ident>,
    pub event: Ident,
    pub target: Target,
    /// Whether an earlier state has it from the same tokens, whose names are checked there.
    pub is_shared: bool,
}

#[derive(Clone)]
pub(crate) enum Target {
    Stay(Token![_]),
    State(Ident),
}

impl Machine {
    pub(crate) fn state(&self, name: &Ident) -> Option<&State> {
        let name = names::text(name);
        self.states.iter().find(|state| state.name() == name)
    }

    /// The state in which an edge of `from` ends; none when it does not exist.
    pub(crate) fn target<'a>(&'a self, from: &'a State, edge: &Edge) -> Option<&'a State> {
        match &edge.target {
            Target::Stay(_) => Some(from),
            Target::State(name) => self.state(name),
        }
    }

    pub(crate) fn initial(&self) -> Option<&State> {
        self.states.iter().find(|state| state.initial.is_some())
    }
}

impl State {
    pub(crate) fn name(&self) -> String {
        names::text(&self.ident)
    }
}

impl Edge {
    pub(crate) fn command_name(&self) -> Option<String> {
        self.command.as_ref().map(names::text)
    }

    pub(crate) fn event_name(&self) -> String {
        names::text(&self.event)
    }
}
