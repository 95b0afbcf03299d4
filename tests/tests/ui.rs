//! What cannot be right does not compile: one directory a cause, the message recorded beside it.
//!
//! Record the messages again with `TRYBUILD=overwrite cargo test -p cim-es-tests --test ui`, and read each of them.

/// No case here may be a `pass` case: trybuild then builds instead of checking, and the refusals must come from
/// `cargo check` already.
#[test]
fn what_cannot_be_right_does_not_compile() {
    trybuild::TestCases::new().compile_fail("ui/*/case.rs");
}
