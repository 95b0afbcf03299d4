//! The guide: from an empty crate to aggregates on a cluster, one page a concept.
//!
//! It is for a reader who knows Rust, and neither event sourcing nor NATS. One example runs through all pages: the
//! books of a library, which are acquired, lent, renewed, returned and in the end given away. Every block of Rust on
//! these pages is compiled by this crate's tests, and run unless it needs a server; every message is quoted from a run.
//!
//! | page | the question that it answers |
//! |---|---|
//! | [`start`] | How do I get from an empty crate to an aggregate on a server? |
//! | [`aggregate`] | What do I write, and what is derived? |
//! | [`event`] | What is stored, and under which name? |
//! | [`value`] | How is a text with a rule declared? |
//! | [`machine`] | When is a command accepted? |
//! | [`apply`] | How do events become the present state? |
//! | [`subject`] | How does another program find the events? |
//! | [`block`] | How is it proved that nobody changed the history? |
//! | [`store`] | Where are events kept, and what happens when two programs write? |
//! | [`sqlite_file`] | What is in the SQLite file, and what must nobody do to it? |
//! | [`repository`] | How are commands executed, and what if one comes twice? |
//! | [`snapshot`] | How do long histories load fast? |
//! | [`test_kit`] | How do I state the rules as tests? |
//! | [`schema_change`] | How do I change what is stored already? |
//! | [`event_contract`] | How does a program read events whose aggregate it does not have? |
//! | [`unique_name`] | How is a name given to one aggregate only? |
//! | [`subscription`] | How do I react to what happens? |
//! | [`projection`] | How do I answer questions over many aggregates? |
//! | [`document`] | How do views keep what does not fit into memory, and who finds it? |
//! | [`table`] | How does a view become tables that SQL asks? |
//! | [`inline_view`] | How is a view level with every commit? |
//! | [`replay`] | How is a view made again, and how is everything gone through once more? |
//! | [`bundle`] | How do events get from one store into another, over an air gap if need be? |
//! | [`proof`] | How do I show to others what was stored, and find a history that was rewritten? |
//! | [`command_line`] | How do I look into a store without writing Rust? |
//! | [`verify`] | What in a store is damaged, if anything? |
//! | [`dag`] | What happened because of what? |
//! | [`nats`] | How do I run it on NATS servers? |
//! | [`hybrid`] | How does a program work without a network, and come together with others later? |
//! | [`scale`] | How many aggregates fit one stream? |

macro_rules! pages {
    ($($page:ident)*) => {
        $(
            pub mod $page {
                #![doc = include_str!(concat!(stringify!($page), ".md"))]
            }
        )*
    };
}

pages! {
    start
    aggregate
    event
    value
    machine
    apply
    subject
    block
    store
    sqlite_file
    repository
    snapshot
    test_kit
    schema_change
    event_contract
    unique_name
    subscription
    projection
    document
    table
    inline_view
    replay
    bundle
    proof
    command_line
    verify
    dag
    nats
    hybrid
    scale
}
