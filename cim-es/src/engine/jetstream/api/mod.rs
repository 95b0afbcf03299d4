//! Requests to the servers, and what they answer: the only room that sends one.

pub(crate) mod direct;
mod leader;
mod message;
mod patience;
mod patterns;
mod reader;
mod request;

pub(crate) use leader::{Leader, State};
pub(crate) use message::{EXPECTED_SEQUENCE, EXPECTED_SUBJECT, Raw, headers, headers_of, size};
pub(crate) use patience::Patience;
pub(crate) use patterns::{distinct, overlap};
pub(crate) use reader::{Reader, Selection, Step};
pub use request::ApiFailure;
pub(crate) use request::{Api, errors, in_time, json, nanoseconds, parse};
