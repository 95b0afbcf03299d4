#[automatically_derived]
impl ::cim_es::__private::EventDeclaration for ComputeEvent {
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
            upcasters: &[upcast::capabilities],
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
        Compute,
        { ::cim_es::__private::types_length::<ComputeEvent, Compute>() },
    >();
    const TYPES: &'static [&'static str] = &::cim_es::__private::types::<
        ComputeEvent,
        Compute,
        7usize,
    >();
}
#[automatically_derived]
impl ::cim_es::event::DomainEvent for ComputeEvent {
    type Aggregate = Compute;
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
    const FINGERPRINT: u64 = 4352073742605623055u64;
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
    #[allow(unused_mut)]
    fn fold_into(self, aggregate: &mut Compute) {
        match self {
            ComputeEvent::Registered { hostname, system } => {
                ::cim_es::event::Assign::assign(&mut (*aggregate).hostname, hostname);
                ::cim_es::event::Assign::assign(&mut (*aggregate).system, system);
            }
            ComputeEvent::Updated { capabilities } => {
                ::cim_es::event::Assign::assign(
                    &mut (*aggregate).capabilities,
                    capabilities,
                );
            }
            ComputeEvent::InterfaceAdded { mut interface, reason: _ } => {
                (*aggregate).interfaces.push(interface);
                (*aggregate).count = aggregate.interfaces.len();
            }
            ComputeEvent::Sold(mut event) => {
                (*aggregate).owner = event.owner;
            }
            ComputeEvent::Moved { rack, slot } => {
                Compute::moved(aggregate, rack, slot);
            }
            ComputeEvent::Cleaned { .. } => {}
        }
    }
}
const _: () = ::cim_es::__private::check_events_are_applied::<
    ComputeEvent,
>("ComputeEvent", "Compute");
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(0usize);
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(1usize);
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(2usize);
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(3usize);
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(4usize);
const _: () = ::cim_es::__private::check_event_is_used::<ComputeEvent>(5usize);
const _: () = ::cim_es::__private::check_type_is_distinct::<ComputeEvent>(1usize);
