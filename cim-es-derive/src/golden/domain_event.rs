#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::__private::EventDeclaration for ComputeEvent {
    const KIND: ::cim_es::__private::Kind = ::cim_es::__private::kind::<ComputeEvent>();
    const SPECS: &'static [::cim_es::__private::EventSpec] = &[
        ::cim_es::__private::EventSpec {
            variant: "Registered",
            name: ::cim_es::__private::Tail::Operation("registered"),
            former: &[],
            schema: 1u32,
            upcasters: &[],
            fields: &["hostname", "system"],
        },
        ::cim_es::__private::EventSpec {
            variant: "Updated",
            name: ::cim_es::__private::Tail::Subject("inventory.updated"),
            former: &[::cim_es::__private::Tail::Operation("updated")],
            schema: 2u32,
            upcasters: &[
                ::cim_es::event::Upcaster::Payload {
                    0: upcast::capabilities,
                },
            ],
            fields: &["capabilities"],
        },
        ::cim_es::__private::EventSpec {
            variant: "InterfaceAdded",
            name: ::cim_es::__private::Tail::Operation("interface_added"),
            former: &[],
            schema: 1u32,
            upcasters: &[],
            fields: &["interface", "reason"],
        },
        ::cim_es::__private::EventSpec {
            variant: "Sold",
            name: ::cim_es::__private::Tail::Operation("sold"),
            former: &[],
            schema: 1u32,
            upcasters: &[],
            fields: &[],
        },
        ::cim_es::__private::EventSpec {
            variant: "Moved",
            name: ::cim_es::__private::Tail::Operation("moved"),
            former: &[],
            schema: 1u32,
            upcasters: &[],
            fields: &["rack", "slot"],
        },
        ::cim_es::__private::EventSpec {
            variant: "Cleaned",
            name: ::cim_es::__private::Tail::Operation("cleaned"),
            former: &[],
            schema: 1u32,
            upcasters: &[],
            fields: &[],
        },
    ];
    const TEXT: &'static [u8] = &::cim_es::__private::types_text::<
        ComputeEvent,
        { ::cim_es::__private::types_length::<ComputeEvent>() },
    >();
    const TYPES: &'static [&'static str] = &::cim_es::__private::types::<
        ComputeEvent,
        { ::cim_es::__private::types_count::<ComputeEvent>() },
    >();
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::event::DomainEvent for ComputeEvent {
    type Value = ComputeEvent;
    type Origin = <ComputeEvent as ::cim_es::event::AggregateEvent>::Aggregate;
    const DOMAIN: &'static str = <ComputeEvent as ::cim_es::__private::EventDeclaration>::KIND
        .domain;
    const NAME: &'static str = <ComputeEvent as ::cim_es::__private::EventDeclaration>::KIND
        .name;
    const KIND: &'static str = <ComputeEvent as ::cim_es::__private::EventDeclaration>::KIND
        .kind;
    const FORMER_KINDS: &'static [&'static str] = <ComputeEvent as ::cim_es::__private::EventDeclaration>::KIND
        .former;
    const VARIANTS: &'static [&'static str] = &[
        "Registered",
        "Updated",
        "InterfaceAdded",
        "Sold",
        "Moved",
        "Cleaned",
    ];
    const EVENTS: &'static [::cim_es::event::EventInfo] = &::cim_es::__private::events::<
        ComputeEvent,
        6usize,
    >();
    const TYPES: &'static [&'static str] = <ComputeEvent as ::cim_es::__private::EventDeclaration>::TYPES;
    const FINGERPRINT: u64 = 13235708134340053034u64;
    const LIFECYCLE: ::cim_es::__private::Lifecycle = ::cim_es::__private::lifecycle::<
        ComputeEvent,
    >();
    fn index(&self) -> usize {
        match *self {
            ComputeEvent::Registered { .. } => 0usize,
            ComputeEvent::Updated { .. } => 1usize,
            ComputeEvent::InterfaceAdded { .. } => 2usize,
            ComputeEvent::Sold { .. } => 3usize,
            ComputeEvent::Moved { .. } => 4usize,
            ComputeEvent::Cleaned { .. } => 5usize,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::event::AggregateEvent for ComputeEvent {
    type Aggregate = Compute;
    #[allow(unused_mut, clippy::explicit_auto_deref)]
    fn fold_into(self, the_aggregate: &mut Compute) {
        match self {
            ComputeEvent::Registered {
                hostname: event_hostname,
                system: event_system,
            } => {
                ::cim_es::event::Assign::assign(
                    &mut (*the_aggregate).hostname,
                    event_hostname,
                );
                ::cim_es::event::Assign::assign(
                    &mut (*the_aggregate).system,
                    event_system,
                );
            }
            ComputeEvent::Updated { capabilities: event_capabilities } => {
                ::cim_es::event::Assign::assign(
                    &mut (*the_aggregate).capabilities,
                    event_capabilities,
                );
            }
            ComputeEvent::InterfaceAdded {
                interface: mut event_interface,
                reason: _,
            } => {
                (*the_aggregate).interfaces.push(event_interface);
                (*the_aggregate).count = the_aggregate.interfaces.len();
            }
            ComputeEvent::Sold(mut the_event) => {
                (*the_aggregate).owner = the_event.owner;
            }
            ComputeEvent::Moved { rack: event_rack, slot: event_slot } => {
                Compute::moved(the_aggregate, event_rack, event_slot);
            }
            ComputeEvent::Cleaned { .. } => {}
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::event::OneToOne for ComputeEvent {}
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_events_are_applied::<
    ComputeEvent,
>("ComputeEvent", "Compute");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(0usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(1usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(2usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(3usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(4usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(5usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_may_set::<
    ComputeEvent,
>(0usize, "hostname");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_may_set::<ComputeEvent>(0usize, "system");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_may_set::<
    ComputeEvent,
>(1usize, "capabilities");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_may_set::<
    ComputeEvent,
>(2usize, "interfaces");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_may_set::<ComputeEvent>(2usize, "count");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_event_may_set::<ComputeEvent>(3usize, "owner");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_type_is_distinct::<
    ComputeEvent,
>(1usize, 0usize);
#[allow(deprecated)]
const _: () = {
    #[allow(unused_imports)]
    use ::cim_es::__private::AnyPayload as _;
    ::cim_es::__private::check_payload_is_a_map(
        <::cim_es::__private::Payload<Sale>>::FORM,
        "Sold",
    );
};
