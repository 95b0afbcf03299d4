//! Requests to the servers, and what they answer: the only room that sends one.

pub(crate) mod direct;
mod failure;
mod leader;
mod message;
mod reader;
mod request;

pub use failure::ApiFailure;
pub(crate) use failure::{Class, errors, failure_of};
pub(crate) use leader::{Leader, State, StreamInfo};
pub(crate) use message::{EXPECTED_SEQUENCE, EXPECTED_SUBJECT, Raw, headers, headers_of, size};
pub(crate) use reader::{Filters, Reader, Step};
pub(crate) use request::{Ack, Api, in_time, json, nanoseconds, parse};
