//! The macros of cim-es. Use them through `cim_es::prelude`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
