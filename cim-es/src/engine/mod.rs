//! The engines. Each knows the ports alone, and none of them another.

#[cfg(feature = "jetstream")]
pub mod jetstream;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
