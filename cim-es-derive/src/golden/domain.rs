/// The aggregates of the domain `INFRASTRUCTURE`.
pub const INFRASTRUCTURE: ::cim_es::subject::Domain = ::cim_es::subject::Domain::__checked(
    &[
        ::cim_es::subject::AggregateInfo::of::<ComputeEvent>(),
        ::cim_es::subject::AggregateInfo::of::<network::NetworkEvent>(),
    ],
);
const _: () = {
    const MEMBERS: &[::cim_es::__private::Member; 2usize] = &[
        ::cim_es::__private::member::<ComputeEvent>("ComputeEvent"),
        ::cim_es::__private::member::<network::NetworkEvent>("NetworkEvent"),
    ];
    const CLASHES: [::cim_es::__private::Clash; 2usize] = ::cim_es::__private::clashes::<
        2usize,
        { ::cim_es::__private::table_size(MEMBERS) },
    >(MEMBERS);
    const _: () = ::cim_es::__private::check_domain_member(MEMBERS, &CLASHES, 0usize);
    const _: () = ::cim_es::__private::check_domain_member(MEMBERS, &CLASHES, 1usize);
};
