//! What the tests share: servers of their own to run on.
#![forbid(unsafe_code)]

pub mod nats;
