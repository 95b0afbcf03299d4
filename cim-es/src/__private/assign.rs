//! Assignment by name: an event's field into the aggregate's field.

/// Taking a value of an event: the same type, an `Option` around it, or what `From` makes of it.
#[diagnostic::on_unimplemented(
    message = "the event's field is a `{Value}`, and the aggregate's field of this name is a `{Self}`",
    label = "cannot be assigned by name",
    note = "give both the same type, make the aggregate's an `Option`, implement `From<{Value}>`, or say with `#[apply(…)]` where the field goes"
)]
pub trait Assign<Value> {
    fn assign(&mut self, value: Value);
}

#[diagnostic::do_not_recommend]
impl<Place: From<Value>, Value> Assign<Value> for Place {
    fn assign(&mut self, value: Value) {
        *self = Place::from(value);
    }
}

pub fn assign<Place: Assign<Value>, Value>(place: &mut Place, value: Value) {
    place.assign(value);
}
