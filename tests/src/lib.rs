//! The promises of cim-es, each kept by a test in `tests/tests`, and the servers that those tests run on.
#![forbid(unsafe_code)]

#[path = "../../cim-es/tests/shared/directory.rs"]
pub mod directory;
#[cfg(target_os = "linux")]
#[path = "../../cim-es/tests/shared/disk.rs"]
pub mod disk;
pub mod nats;
pub mod node;
pub mod postgres;
