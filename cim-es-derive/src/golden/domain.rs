/// The aggregates of the domain `INFRASTRUCTURE`.
pub const INFRASTRUCTURE: ::cim_es::subject::Domain = ::cim_es::subject::Domain::__checked(
    &[
        ::cim_es::subject::AggregateInfo::of::<ComputeEvent>(),
        ::cim_es::subject::AggregateInfo::of::<network::NetworkEvent>(),
    ],
);
const _: () = ::cim_es::__private::check_domain_member::<
    network::NetworkEvent,
>(
    "NetworkEvent",
    &[("ComputeEvent", ::cim_es::subject::AggregateInfo::of::<ComputeEvent>())],
);
