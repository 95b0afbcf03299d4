//! Pins what each derive writes: the files in this directory are read like any other code of a change.
//!
//! Write them again with `CIM_ES_BLESS=1 cargo test -p cim-es-derive`, and read the difference.

use std::{env, fs};

use proc_macro2::TokenStream;
use quote::quote;

fn check(name: &str, expansion: TokenStream) {
    let file = syn::parse2(expansion).expect("an expansion is a list of items");
    let text = prettyplease::unparse(&file);
    let path = format!("{}/src/golden/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    if env::var_os("CIM_ES_BLESS").is_some() {
        fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == golden,
        "the expansion differs from {path}; if that is meant, run again with CIM_ES_BLESS=1\n{text}"
    );
}

#[test]
fn a_state_machine() {
    let machine = quote! {
        #[machine(output = Availability)]
        enum ComputeState {
            #[state(initial, output = Availability::None)]
            #[on(Register / Registered => Active, / Imported => Active)]
            Unregistered,
            #[state(output = Availability::Schedulable)]
            #[on(Update / Updated => _)]
            #[on(Decommission / Decommissioned => Decommissioned)]
            Active,
            #[state(terminal, output = Availability::None)]
            Decommissioned,
        }
    };
    check("state_machine", crate::machine::derive(machine));
}

#[test]
fn a_broken_state_machine() {
    let machine = quote! {
        enum ComputeState {
            #[on(Register / Registered => Actve)]
            Unregistered,
            #[state(terminal)]
            Active,
        }
    };
    check("broken_state_machine", crate::machine::derive(machine));
}

#[test]
fn domain_events() {
    let events = quote! {
        enum ComputeEvent {
            Registered { hostname: Hostname, system: SystemArchitecture },
            #[event(subject = "inventory.updated", was = "updated", version = 2)]
            #[upcast(from = 1, with = upcast::capabilities)]
            Updated { capabilities: ResourceCapabilities },
            #[apply(interfaces.push(interface), count = self.interfaces.len(), _ = reason)]
            InterfaceAdded { interface: Interface, reason: Reason },
            #[apply(owner = event.owner)]
            Sold(Sale),
            #[apply(with = Compute::moved)]
            Moved { rack: u32, slot: u32 },
            Cleaned,
        }
    };
    check("domain_event", crate::event::derive(events));
}

#[test]
fn commands() {
    let commands = quote! {
        enum ComputeCommand {
            Register { hostname: Hostname, system: SystemArchitecture },
            Update(ResourceCapabilities),
            Decommission,
        }
    };
    check("command", crate::command::derive(commands));
}

#[test]
fn an_aggregate() {
    let aggregate = quote! {
        #[aggregate(domain = "infrastructure", name = "compute", error = ComputeError)]
        struct Compute {
            state: ComputeState,
            hostname: Option<Hostname>,
        }
    };
    check("aggregate", crate::aggregate::derive(aggregate));
}

#[test]
fn an_id() {
    let id = quote! {
        struct MachineId(String);
    };
    check("aggregate_id", crate::id::derive(id));
}

#[test]
fn a_domain() {
    let domain = quote!(pub INFRASTRUCTURE = [ComputeEvent, network::NetworkEvent]);
    check("domain", crate::macros::domain(domain));
}
