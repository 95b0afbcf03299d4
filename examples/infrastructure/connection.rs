//! A connection between interfaces of two machines.

use cim_es::prelude::*;

use self::{ConnectionCommand::*, ConnectionEvent::*};
use super::values::{InterfaceRef, Reason};

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// A cable or a radio link: an interface has one at most.
    Physical,
    /// A tunnel or another connection made by software.
    Virtual,
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionState {
    #[state(initial)]
    #[on(Connect / Established => Established)]
    Unconnected,
    #[on(Sever / Severed => Severed)]
    Established,
    #[state(terminal)]
    Severed,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConnectionEvent {
    /// The ends stand in a fixed order, so that a pair has one name.
    #[apply(ends = Some((first, second)))]
    Established {
        first: InterfaceRef,
        second: InterfaceRef,
        medium: Medium,
    },
    #[apply(_ = reason)]
    Severed { reason: Reason },
}

#[derive(Command, Clone, Debug)]
pub enum ConnectionCommand {
    Connect {
        one: InterfaceRef,
        other: InterfaceRef,
        medium: Medium,
    },
    Sever {
        reason: Reason,
    },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "infrastructure",
    name = "connection",
    error = ConnectionError,
    unique = Connection::unique_names
)]
pub struct Connection {
    state: ConnectionState,
    pub ends: Option<(InterfaceRef, InterfaceRef)>,
    pub medium: Option<Medium>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConnectionError {
    #[error("a connection joins two machines: both ends are on {0}")]
    SameMachine(Id<super::Compute>),
}

impl Connection {
    /// A live connection holds its pair of ends, and a physical one each of the two.
    fn unique_names(&self) -> Vec<UniqueName> {
        let ends = self.ends.as_ref();
        let Some((first, second)) = ends.filter(|_| self.state == ConnectionState::Established)
        else {
            return Vec::new();
        };
        let mut names = vec![UniqueName::new(
            "connected_pair",
            format!("{first} {second}"),
        )];
        if self.medium == Some(Medium::Physical) {
            names.extend([first, second].map(|end| UniqueName::new("physical_port", end)));
        }
        names
    }
}

impl Decide for Connection {
    fn decide(&self, command: ConnectionCommand, _: &Context) -> Decision<Self> {
        match command {
            Connect { one, other, .. } if one.compute == other.compute => {
                Err(ConnectionError::SameMachine(one.compute))
            }
            Connect { one, other, medium } => {
                let (first, second) = if one < other {
                    (one, other)
                } else {
                    (other, one)
                };
                emit(Established {
                    first,
                    second,
                    medium,
                })
            }
            Sever { reason } => emit(Severed { reason }),
        }
    }
}
