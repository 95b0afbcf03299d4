::core::compile_error! {
    "name `My cards` has the character 'M', which not every storage takes: use `a` to `z`, digits, `_` and `-`"
}
::core::compile_error! {
    "a version is a whole number from 1 to 4294967295"
}
::core::compile_error! {
    "a view that is made of no events stays empty: `events = [BookEvent, ReaderEvent::{Registered, Moved}]`"
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Projection for Cards {
    const NAME: &'static str = "";
    const VERSION: u32 = 1;
    const FINGERPRINT: u64 = ::cim_es::projection::declared::fingerprint(0u64, &[]);
    fn selection() -> ::cim_es::store::Selection {
        ::cim_es::projection::declared::selection([])
    }
}
#[automatically_derived]
impl<E> ::cim_es::projection::Lists<E> for Cards {
    const CHOICE: &'static [&'static str] = &[];
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::InMemory for Cards {
    fn take(
        &mut self,
        the_event: &::cim_es::block::StoredEvent,
        is_event_new: bool,
    ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
        ::cim_es::projection::declared::not_listed::<Self>(the_event)
    }
}
