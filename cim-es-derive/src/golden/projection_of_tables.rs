#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Projection for Heads {
    const NAME: &'static str = "heads";
    const VERSION: u32 = 1;
    const FINGERPRINT: u64 = ::cim_es::projection::declared::fingerprint(
        16102278042521297896u64,
        &[
            <UnitEvent as ::cim_es::event::DomainEvent>::FINGERPRINT,
            <PersonEvent as ::cim_es::event::DomainEvent>::FINGERPRINT,
            ::cim_es::projection::declared::digest(
                <Self as ::cim_es::projection::InTables>::TABLES,
            ),
            ::cim_es::projection::declared::digest(
                <Self as ::cim_es::projection::InPostgresTables>::TABLES,
            ),
        ],
    );
    fn selection() -> ::cim_es::store::Selection {
        ::cim_es::projection::declared::selection([
            ::cim_es::projection::declared::subjects::<Self, UnitEvent>(),
            ::cim_es::projection::declared::subjects::<Self, PersonEvent>(),
        ])
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Lists<UnitEvent> for Heads {
    const CHOICE: &'static [&'static str] = &[];
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::Lists<PersonEvent> for Heads {
    const CHOICE: &'static [&'static str] = &["Named"];
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::InTables for Heads {
    const TABLES: &'static str = include_str!("heads.sql");
    fn take(
        &self,
        the_event: &::cim_es::block::StoredEvent,
        is_event_new: bool,
        the_tables: &::cim_es::projection::Tables<'_>,
    ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
        if ::cim_es::projection::declared::is_one_of::<UnitEvent>(the_event) {
            return ::cim_es::projection::declared::project_tables::<
                Self,
                UnitEvent,
            >(self, the_event, is_event_new, the_tables);
        }
        if ::cim_es::projection::declared::is_one_of::<PersonEvent>(the_event) {
            return ::cim_es::projection::declared::project_tables::<
                Self,
                PersonEvent,
            >(self, the_event, is_event_new, the_tables);
        }
        ::cim_es::projection::declared::not_listed::<Self>(the_event)
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::InPostgresTables for Heads {
    const TABLES: &'static str = "CREATE TABLE {heads} (id text)";
    async fn take(
        &self,
        the_event: &::cim_es::block::StoredEvent,
        is_event_new: bool,
        the_tables: &::cim_es::projection::PostgresTables<'_>,
    ) -> ::core::result::Result<(), ::cim_es::projection::ProjectionError> {
        if ::cim_es::projection::declared::is_one_of::<UnitEvent>(the_event) {
            return ::cim_es::projection::declared::project_postgres_tables::<
                Self,
                UnitEvent,
            >(self, the_event, is_event_new, the_tables)
                .await;
        }
        if ::cim_es::projection::declared::is_one_of::<PersonEvent>(the_event) {
            return ::cim_es::projection::declared::project_postgres_tables::<
                Self,
                PersonEvent,
            >(self, the_event, is_event_new, the_tables)
                .await;
        }
        ::cim_es::projection::declared::not_listed::<Self>(the_event)
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::projection::WithoutFields for Heads {
    fn new() -> Self {
        Heads {}
    }
}
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_exists::<
    PersonEvent,
>("Named", "PersonEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_other_aggregate::<
    UnitEvent,
    PersonEvent,
>("UnitEvent", "PersonEvent");
const _: () = ::cim_es::projection::declared::check_tables(include_str!("heads.sql"));
const _: () = ::cim_es::projection::declared::check_tables(
    "CREATE TABLE {heads} (id text)",
);
#[doc(hidden)]
#[allow(non_upper_case_globals, dead_code)]
const a_view_is_named_heads: () = ();
