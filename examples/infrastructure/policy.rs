//! A policy: rules that hold for a scope until they are revoked.

use cim_es::prelude::*;

use self::{PolicyCommand::*, PolicyEvent::*};
use super::values::{Label, Name, Reason};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyState {
    #[state(initial)]
    #[on(Apply / Set => Set)]
    Unset,
    /// Applying it again replaces its rules.
    #[on(Apply / Set => _)]
    #[on(Revoke / Revoked => Revoked)]
    Set,
    #[state(terminal)]
    Revoked,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PolicyEvent {
    Set {
        name: Name,
        scope: Label,
        rules: Vec<Label>,
    },
    #[apply(_ = reason)]
    Revoked { reason: Reason },
}

#[derive(Command, Clone, Debug)]
pub enum PolicyCommand {
    Apply {
        name: Name,
        scope: Label,
        rules: Vec<Label>,
    },
    Revoke {
        reason: Reason,
    },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "infrastructure",
    name = "policy",
    error = PolicyError,
    unique = Policy::unique_names
)]
pub struct Policy {
    state: PolicyState,
    pub name: Option<Name>,
    pub scope: Option<Label>,
    pub rules: Vec<Label>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    #[error("a policy has at least one rule; to end it, revoke it")]
    NoRule,
    #[error("this policy is {name} for {scope}: another name or scope is another policy")]
    Another { name: Name, scope: Label },
}

impl Policy {
    /// A name is that of one policy in a scope.
    fn unique_names(&self) -> Option<UniqueName> {
        let (name, scope) = self.name.as_ref().zip(self.scope.as_ref())?;
        let is_live = self.state == PolicyState::Set;
        is_live.then(|| UniqueName::new("policy_name", format!("{name} in {scope}")))
    }
}

impl Decide for Policy {
    fn decide(&self, command: PolicyCommand, _: &Context) -> Decision<Self> {
        match command {
            Apply { rules, .. } if rules.is_empty() => Err(PolicyError::NoRule),
            Apply { name, scope, rules } => match (&self.name, &self.scope) {
                (Some(known), Some(held)) if (known, held) != (&name, &scope) => {
                    let (name, scope) = (known.clone(), held.clone());
                    Err(PolicyError::Another { name, scope })
                }
                (Some(_), _) if self.rules == rules => nothing(),
                _ => emit(Set { name, scope, rules }),
            },
            Revoke { reason } => emit(Revoked { reason }),
        }
    }
}
