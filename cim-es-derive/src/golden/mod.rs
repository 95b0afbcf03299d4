//! Pins what each derive writes: the files in this directory are read like any other code of a change.
//!
//! Write them again with `CIM_ES_BLESS=1 cargo test -p cim-es-derive`, and read the difference.

mod meaning;

use std::{env, fs};

use proc_macro2::{Group, TokenStream, TokenTree};
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

fn machine_input() -> TokenStream {
    quote! {
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
    }
}

fn events_input() -> TokenStream {
    quote! {
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
    }
}

fn commands_input() -> TokenStream {
    quote! {
        enum ComputeCommand {
            Register { hostname: Hostname, system: SystemArchitecture },
            Update(ResourceCapabilities),
            Decommission,
        }
    }
}

fn aggregate_input() -> TokenStream {
    quote! {
        #[aggregate(domain = "infrastructure", name = "compute", error = ComputeError, unique = Compute::names)]
        struct Compute {
            state: ComputeState,
            hostname: Option<Hostname>,
        }
    }
}

#[test]
fn a_state_machine() {
    check("state_machine", crate::machine::derive(machine_input()));
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
    check("domain_event", crate::event::derive(events_input()));
}

#[test]
fn commands() {
    check("command", crate::command::derive(commands_input()));
}

#[test]
fn an_aggregate() {
    check("aggregate", crate::aggregate::derive(aggregate_input()));
}

fn projection_input() -> TokenStream {
    quote! {
        #[projection(name = "open-loans", version = 2, events = [BookEvent, lending::ReaderEvent::{Registered, Moved}])]
        struct Loans {
            books: BTreeMap<Id<Reader>, BTreeSet<Id<Book>>>,
        }
    }
}

#[test]
fn a_projection_in_memory() {
    check("projection", crate::projection::derive(projection_input()));
}

#[test]
fn a_projection_of_documents() {
    let projection = quote! {
        #[projection(name = "cards", version = 1, events = [BookEvent], documents = Card)]
        struct Cards;
    };
    check(
        "projection_of_documents",
        crate::projection::derive(projection),
    );
}

fn tables_input() -> TokenStream {
    quote! {
        #[projection(
            name = "heads",
            version = 1,
            events = [UnitEvent, PersonEvent::{Named}],
            tables = include_str!("heads.sql"),
            postgres_tables = "CREATE TABLE {heads} (id text)",
        )]
        struct Heads;
    }
}

#[test]
fn a_projection_of_tables() {
    check(
        "projection_of_tables",
        crate::projection::derive(tables_input()),
    );
}

#[test]
fn a_broken_projection() {
    let projection = quote! {
        #[projection(name = "My cards", version = 0, events = [])]
        struct Cards;
    };
    check("broken_projection", crate::projection::derive(projection));
}

fn document_input() -> TokenStream {
    quote! {
        struct Card {
            title: String,
            #[index]
            reader: Option<Id<Reader>>,
            #[index]
            #[serde(default)]
            r#type: Kind,
        }
    }
}

#[test]
fn a_document() {
    check("document", crate::document::derive(document_input()));
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

/// All ways to leave out one token, at any depth.
fn shortened(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let with = |at: usize, middle: Option<TokenTree>| -> TokenStream {
        let (before, after) = (&tokens[..at], &tokens[at + 1..]);
        before
            .iter()
            .cloned()
            .chain(middle)
            .chain(after.iter().cloned())
            .collect()
    };
    let mut all = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        all.push(with(at, None));
        if let TokenTree::Group(group) = token {
            for inner in shortened(group.stream()) {
                let group = Group::new(group.delimiter(), inner);
                all.push(with(at, Some(group.into())));
            }
        }
    }
    all
}

#[test]
fn whatever_token_is_missing_a_derive_writes_items_and_does_not_panic() {
    type Derive = fn(TokenStream) -> TokenStream;
    let derives: [(TokenStream, Derive); 7] = [
        (machine_input(), crate::machine::derive),
        (events_input(), crate::event::derive),
        (commands_input(), crate::command::derive),
        (aggregate_input(), crate::aggregate::derive),
        (document_input(), crate::document::derive),
        (projection_input(), crate::projection::derive),
        (tables_input(), crate::projection::derive),
    ];
    let mut refused = 0;
    for (input, derive) in derives {
        for shortened in shortened(input) {
            let declaration = shortened.to_string();
            let expansion = derive(shortened);
            refused += usize::from(expansion.to_string().contains("compile_error"));
            let items = syn::parse2::<syn::File>(expansion);
            assert!(items.is_ok(), "no items from {declaration}");
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}
