/// The aggregates of the domain `INFRASTRUCTURE`.
#[allow(deprecated)]
pub const INFRASTRUCTURE: ::cim_es::subject::Domain = ::cim_es::subject::Domain::__checked(
    &[
        ::cim_es::subject::AggregateInfo::of::<ComputeEvent>(),
        ::cim_es::subject::AggregateInfo::of::<network::NetworkEvent>(),
    ],
);
#[allow(deprecated)]
const _: () = {
    const MEMBERS: &[::cim_es::__private::Member] = &[
        ::cim_es::__private::member::<ComputeEvent>("ComputeEvent"),
        ::cim_es::__private::member::<network::NetworkEvent>("NetworkEvent"),
    ];
    const CLASHES: [::cim_es::__private::Clash; MEMBERS.len()] = ::cim_es::__private::clashes::<
        { MEMBERS.len() },
        { ::cim_es::__private::table_size(MEMBERS) },
    >(MEMBERS);
    #[allow(deprecated)]
    const _: () = ::cim_es::__private::check_domain_member(MEMBERS, &CLASHES, 0usize);
    #[allow(deprecated)]
    const _: () = ::cim_es::__private::check_domain_member(MEMBERS, &CLASHES, 1usize);
};
