//! The promises of cim-es, each kept by a test in `tests/tests`, and the servers that those tests run on.
#![forbid(unsafe_code)]

#[path = "../../cim-es/tests/shared/directory.rs"]
pub mod directory;
pub mod nats;
pub mod node;
pub mod postgres;
