#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Projection for Cards {
    const NAME: &'static str = "cards";
    const VERSION: u32 = 1;
    const FINGERPRINT: u64 = ::cim_es::projection::declared::fingerprint(
        10902235111279698139u64,
        &[
            <BookEvent as ::cim_es::event::DomainEvent>::FINGERPRINT,
            <Card as ::cim_es::projection::Document>::FINGERPRINT,
        ],
    );
    fn selection() -> ::cim_es::store::Selection {
        ::cim_es::projection::declared::selection([
            ::cim_es::projection::declared::subjects::<Self, BookEvent>(),
        ])
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Lists<BookEvent> for Cards {
    const CHOICE: &'static [&'static str] = &[];
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::InDocuments for Cards {
    type Document = Card;
    async fn take(
        &self,
        the_event: &::cim_es::block::StoredEvent,
        is_event_new: bool,
        the_documents: &mut ::cim_es::projection::Documents<'_, Card>,
    ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
        if ::cim_es::projection::declared::is_one_of::<BookEvent>(the_event) {
            return ::cim_es::projection::declared::project_documents::<
                Self,
                BookEvent,
            >(self, the_event, is_event_new, the_documents)
                .await;
        }
        ::cim_es::projection::declared::not_listed::<Self>(the_event)
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::WithoutFields for Cards {
    fn new() -> Self {
        Cards {}
    }
}
#[doc(hidden)]
#[allow(non_upper_case_globals, dead_code)]
const a_view_is_named_cards: () = ();
