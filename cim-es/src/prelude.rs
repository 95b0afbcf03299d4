//! All that a domain needs: `use cim_es::prelude::*;`.
//!
//! The derives of serde are here too. The code that they write names the crate `serde`, so a domain's `Cargo.toml`
//! has `serde = "1"` beside `cim-es`.

pub use cid::Cid;
pub use ipld_core::ipld::Ipld;
pub use serde::{Deserialize, Serialize};
pub use uuid::Uuid;

pub use crate::aggregate::{
    Aggregate, AggregateId, Command, Decide, Decision, Events, Id, emit, emit_all, nothing,
};
pub use crate::event::{DomainEvent, UpcastError};
pub use crate::machine::StateMachine;
pub use crate::message::{Context, MessageIdentity, Timestamp};
pub use crate::repository::Repository;
pub use crate::subject::{Domain, Filter, Subject};
pub use crate::{MemoryEventStore, domain, filter, subject};
