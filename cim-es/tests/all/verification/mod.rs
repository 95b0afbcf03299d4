//! Checking a whole store: every damage is told at its place, and the rest is looked at all the same.

#[cfg(feature = "sqlite")]
mod damaged_files;
#[cfg(feature = "sqlite")]
mod long_files;
mod other_stores;
#[cfg(feature = "sqlite")]
mod resumed;
#[cfg(feature = "sqlite")]
mod support;
