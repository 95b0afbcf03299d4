//! Whether the struct of `Variant(Struct)` can be a payload: a map of names, as far as the compiler
//! can tell.
//!
//! A type says nothing of how serde writes it. So the types of the standard library that are no
//! maps are listed, each with a constant of its own, which the compiler finds before that of
//! [`AnyPayload`]; an alias is what it stands for.

use std::borrow::Cow;
use std::collections::{BTreeSet, BinaryHeap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use cid::Cid;
use uuid::Uuid;

use super::check::report;
use super::text::Message;
use crate::domain::aggregate::Id;
use crate::domain::message::Timestamp;

/// What a type is written as.
pub struct Payload<T: ?Sized>(PhantomData<T>);

/// Stands for every type that is not listed.
pub trait AnyPayload {
    const FORM: Option<&'static str> = None;
}

impl<T: ?Sized> AnyPayload for Payload<T> {}

macro_rules! no_maps {
    ($($form:literal { $([$($generic:tt)*] $ty:ty),+ $(,)? })+) => {
        $($(impl<$($generic)*> Payload<$ty> {
            pub const FORM: Option<&'static str> = Some($form);
        })+)+
    };
}

no_maps! {
    "a number" {
        [] u8, [] u16, [] u32, [] u64, [] u128, [] usize,
        [] i8, [] i16, [] i32, [] i64, [] i128, [] isize,
        [] f32, [] f64, [] NonZeroU32, [] NonZeroU64,
    }
    "a `bool`" { [] bool }
    "a text" {
        [] char, [] String, ['a] Cow<'a, str>, [] Box<str>, [] Arc<str>, [] Rc<str>, [] PathBuf, [] Uuid, [A] Id<A>,
        [] IpAddr, [] Ipv4Addr, [] Ipv6Addr, [] SocketAddr, [] SocketAddrV4, [] SocketAddrV6,
    }
    "a link" { [] Cid }
    "a time" { [] Timestamp }
    "nothing" { [] () }
    "an optional value" { [T] Option<T> }
    "a list" {
        [T] Vec<T>, [T] VecDeque<T>, [T] LinkedList<T>, [T] BinaryHeap<T>, [T] BTreeSet<T>,
        [T, S] HashSet<T, S>, [T] Box<[T]>, [T, const N: usize] [T; N],
    }
    "a tuple" { [A] (A,), [A, B] (A, B), [A, B, C] (A, B, C), [A, B, C, D] (A, B, C, D) }
}

/// What a variant holds is a map of names.
#[track_caller]
pub const fn check_payload_is_a_map(form: Option<&str>, event: &str) {
    if let Some(form) = form {
        report(
            &Message::new("event `")
                .text(event)
                .text("` holds ")
                .text(form)
                .text(", and a payload is a map of names: name it, `")
                .text(event)
                .text(" { value: … }`, or hold a struct with named fields"),
        );
    }
}
