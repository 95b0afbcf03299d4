#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Projection for Loans {
    const NAME: &'static str = "open-loans";
    const VERSION: u32 = 2;
    const FINGERPRINT: u64 = ::cim_es::projection::declared::fingerprint(
        152383912146146845u64,
        &[
            <BookEvent as ::cim_es::event::DomainEvent>::FINGERPRINT,
            <lending::ReaderEvent as ::cim_es::event::DomainEvent>::FINGERPRINT,
        ],
    );
    fn selection() -> ::cim_es::store::Selection {
        ::cim_es::projection::declared::selection([
            ::cim_es::projection::declared::subjects::<Self, BookEvent>(),
            ::cim_es::projection::declared::subjects::<Self, lending::ReaderEvent>(),
        ])
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Lists<BookEvent> for Loans {
    const CHOICE: &'static [&'static str] = &[];
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Lists<lending::ReaderEvent> for Loans {
    const CHOICE: &'static [&'static str] = &["Registered", "Moved"];
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::InMemory for Loans {
    fn take(
        &mut self,
        the_event: &::cim_es::block::StoredEvent,
        is_event_new: bool,
    ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
        if ::cim_es::projection::declared::is_one_of::<BookEvent>(the_event) {
            return ::cim_es::projection::declared::project::<
                Self,
                BookEvent,
            >(self, the_event, is_event_new);
        }
        if ::cim_es::projection::declared::is_one_of::<lending::ReaderEvent>(the_event) {
            return ::cim_es::projection::declared::project::<
                Self,
                lending::ReaderEvent,
            >(self, the_event, is_event_new);
        }
        ::cim_es::projection::declared::not_listed::<Self>(the_event)
    }
}
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_exists::<
    lending::ReaderEvent,
>("Registered", "ReaderEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_exists::<
    lending::ReaderEvent,
>("Moved", "ReaderEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_other_aggregate::<
    BookEvent,
    lending::ReaderEvent,
>("BookEvent", "ReaderEvent");
#[doc(hidden)]
#[allow(non_upper_case_globals, dead_code)]
const a_view_is_named_openDASHloans: () = ();
