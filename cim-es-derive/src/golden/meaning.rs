//! The fingerprint follows what a declaration means, and not how it is written.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

/// The fingerprint that a derive writes.
fn fingerprint(derive: fn(TokenStream) -> TokenStream, declaration: &TokenStream) -> String {
    let code = derive(declaration.clone()).to_string();
    assert!(!code.contains("compile_error"), "{declaration}: {code}");
    let (_, behind) = code
        .split_once("FINGERPRINT : u64 = ")
        .expect("a fingerprint");
    behind.split(' ').next().unwrap_or_default().to_owned()
}

fn same(derive: fn(TokenStream) -> TokenStream, one: &TokenStream, others: &[TokenStream]) {
    for other in others {
        assert_eq!(
            fingerprint(derive, one),
            fingerprint(derive, other),
            "{other}"
        );
    }
}

fn different(derive: fn(TokenStream) -> TokenStream, one: &TokenStream, others: &[TokenStream]) {
    let mut all: Vec<String> = others
        .iter()
        .chain([one])
        .map(|it| fingerprint(derive, it))
        .collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(
        all.len(),
        count,
        "two of these have one fingerprint: {one} {others:?}"
    );
}

fn events() -> TokenStream {
    quote! {
        #[serde(rename_all_fields = "camelCase")]
        enum DoorEvent {
            #[event(operation = "opened", was = "ajar", version = 2)]
            #[upcast(from = 1, with = up)]
            #[apply(times += 1, by = Some(by))]
            Opened { #[serde(default, alias = "who")] by: String, at: u64 },
            Shut { hard: bool, at: u64 },
            #[apply(with = Door::moved)]
            Moved { rack: u32, slot: u32 },
        }
    }
}

#[test]
fn events_that_are_written_otherwise_have_the_same_fingerprint() {
    let otherwise = quote! {
        /// Documentation.
        #[derive(Debug)]
        #[derive(Clone)]
        #[allow(clippy::large_enum_variant)]
        #[serde(rename_all_fields = "camelCase",)]
        pub enum DoorEvent {
            #[apply(with = Door::moved)]
            Moved { rack: u32, slot: u32 },
            #[event(version = 1)]
            Shut { /** Documentation. */ at: u64, #[allow(unused)] hard: bool },
            #[apply(times += 01)]
            #[apply(by = Some(by,))]
            #[upcast(with = up, from = 01)]
            #[event(was = "ajar")]
            #[event(version = 02, operation = r"opened")]
            #[must_use]
            Opened { #[serde(alias = "who")] #[serde(default)] by: String, #[deprecated] at: u64, },
        }
    };
    same(crate::event::derive, &events(), &[otherwise]);
}

#[test]
fn events_that_mean_something_else_have_another_fingerprint() {
    let text = events().to_string();
    let changes = [
        ("\"opened\"", "\"opened_up\""),
        ("\"ajar\"", "\"wide\""),
        ("with = up", "with = upward"),
        ("with = up", "with_envelope = up"),
        ("times += 1", "times += 2"),
        ("times += 1", "times -= 1"),
        ("times += 1 , by = Some (by)", "by = Some (by) , times += 1"),
        ("by = Some (by)", "by = Some (by) , _ = at"),
        ("default , ", ""),
        ("\"who\"", "\"whoever\""),
        ("camelCase", "kebab-case"),
        ("hard : bool", "hard : u8"),
        ("hard : bool", "force : bool"),
        ("rack : u32 , slot : u32", "slot : u32 , rack : u32"),
        ("Door :: moved", "Door :: was_moved"),
        ("Shut {", "Shut { # [serde (default)] soft : bool ,"),
    ];
    let changed = changes.map(|(from, to)| {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        changed.parse::<TokenStream>().expect("tokens")
    });
    different(crate::event::derive, &events(), &changed);
}

#[test]
fn a_statement_counts_with_the_parentheses_around_what_a_macro_was_given() {
    let events = |amount: TokenStream| {
        quote! {
            enum DoorEvent {
                #[apply(times += 2 * #amount)]
                Opened,
            }
        }
    };
    let given = |inner| TokenTree::Group(Group::new(Delimiter::None, inner)).into();
    let written = events(quote!(1 + 1));
    same(
        crate::event::derive,
        &events(given(quote!(1 + 1))),
        &[events(quote!((1 + 1)))],
    );
    different(
        crate::event::derive,
        &events(given(quote!(1 + 1))),
        &[written],
    );
}

fn machine() -> TokenStream {
    quote! {
        #[machine(output = u8)]
        enum DoorState {
            #[state(initial, output = 1)]
            #[on(Open / Opened => Ajar)]
            #[on(Close / Shut => _)]
            Closed,
            #[state(output = 2)]
            #[on(Close / Shut => Closed)]
            #[on(/ Opened => _)]
            Ajar,
        }
    }
}

#[test]
fn a_machine_that_is_written_otherwise_has_the_same_fingerprint() {
    let otherwise = quote! {
        #[derive(Debug, Clone)]
        #[machine(output = u8)]
        #[machine(event = DoorEvent, command = DoorCommand)]
        #[on(Closed | Ajar: Close / Shut => Closed)]
        pub(crate) enum DoorState {
            #[on(/ Opened => Ajar)]
            #[state(output = 0x2)]
            Ajar,
            #[on(Open / Opened => Ajar)]
            #[state(output = 01)]
            #[state(initial)]
            #[allow(dead_code)]
            Closed,
        }
    };
    same(crate::machine::derive, &machine(), &[otherwise]);
}

#[test]
fn a_machine_that_means_something_else_has_another_fingerprint() {
    let text = machine().to_string();
    let changes = [
        ("Opened => Ajar", "Opened => _"),
        ("Open / Opened", "Unlock / Opened"),
        ("Shut => Closed", "Shut => _"),
        ("output = 2", "output = 3"),
        ("/ Opened => _", "/ Shut => Closed"),
        ("Ajar ,", "# [serde (rename = \"open\")] Ajar ,"),
        ("output = u8", "output = u16"),
    ];
    let changed = changes.map(|(from, to)| text.replacen(from, to, 1).parse().expect("tokens"));
    // One of them takes the only way to a state.
    let changed: Vec<_> = changed.into_iter().skip(1).collect();
    different(crate::machine::derive, &machine(), &changed);
}

fn aggregate() -> TokenStream {
    quote! {
        #[aggregate(domain = "house", name = "door", fold = 2)]
        #[serde(rename_all = "camelCase")]
        struct Door {
            state: DoorState,
            by: Option<String>,
            times: u32,
        }
    }
}

#[test]
fn an_aggregate_that_is_written_otherwise_has_the_same_fingerprint() {
    let otherwise = quote! {
        #[derive(Debug)]
        #[serde(rename_all = "camelCase")]
        #[aggregate(name = "door")]
        #[aggregate(fold = 02, domain = "house",)]
        #[derive(Clone)]
        pub struct Door {
            pub times: u32,
            #[allow(unused)]
            pub(crate) by: Option<String,>,
            state: DoorState
        }
    };
    same(crate::aggregate::derive, &aggregate(), &[otherwise]);
}

#[test]
fn an_aggregate_that_means_something_else_has_another_fingerprint() {
    let text = aggregate().to_string();
    let changes = [
        ("\"house\"", "\"home\""),
        ("\"door\"", "\"gate\""),
        ("fold = 2", "fold = 3"),
        ("camelCase", "kebab-case"),
        ("Option < String >", "String"),
        ("times : u32", "times : u64"),
        ("times : u32", "# [default = 7] times : u32"),
        ("times : u32", "# [serde (skip)] times : u32"),
        ("times : u32 ,", ""),
    ];
    let changed = changes.map(|(from, to)| {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        changed.parse::<TokenStream>().expect("tokens")
    });
    different(crate::aggregate::derive, &aggregate(), &changed);
}
