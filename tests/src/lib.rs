//! The promises of cim-es, each kept by a test in `tests/tests`.
