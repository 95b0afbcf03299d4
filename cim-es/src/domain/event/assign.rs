//! Assignment by name: how a field of an event goes into the aggregate's field of the same name.

/// A field that takes a value of type `Value`: every type does that can be made `From` it, so a `T` takes a `T`, and
/// an `Option<T>` takes a `T` too.
///
/// It is implemented through [`From`] alone; what that does not cover stands in `#[apply(…)]`.
#[diagnostic::on_unimplemented(
    message = "the event's field is a `{Value}`, and the aggregate's field of this name is a `{Self}`",
    label = "cannot be assigned by name",
    note = "give both the same type, make the aggregate's an `Option`, implement `From<{Value}>`, or say with `#[apply(…)]` where the field goes"
)]
pub trait Assign<Value> {
    /// Takes the value in place of what is there.
    fn assign(&mut self, value: Value);
}

#[diagnostic::do_not_recommend]
impl<Place: From<Value>, Value> Assign<Value> for Place {
    fn assign(&mut self, value: Value) {
        *self = Place::from(value);
    }
}

/// A field with `#[event(keep)]`: where it is absent, the aggregate's field stays as it is.
#[diagnostic::on_unimplemented(
    message = "`#[event(keep)]` is on a `{Self}`, which is never absent",
    label = "not an `Option`",
    note = "make the event's field an `Option`, or remove `keep`"
)]
pub trait Given<Value> {
    /// The value that was given.
    fn given(self) -> Option<Value>;
}

#[diagnostic::do_not_recommend]
impl<T> Given<T> for Option<T> {
    fn given(self) -> Self {
        self
    }
}
