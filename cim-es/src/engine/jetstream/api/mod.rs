//! Requests to the servers, and what they answer: the only room that sends one.

mod ack_subject;
mod commits;
pub(crate) mod direct;
mod failure;
mod leader;
mod message;
mod reader;
mod request;
mod subjects;

pub(crate) use ack_subject::AckSubject;
pub(crate) use commits::{Commits, Extent, Read, Surroundings, end_of, log_cut_off, start_of};
pub use failure::ApiFailure;
pub(crate) use failure::{Class, errors, failure_of, is_transient};
pub(crate) use leader::{Leader, State, StreamInfo};
pub(crate) use message::{EXPECTED_SEQUENCE, EXPECTED_SUBJECT, Raw, headers, headers_of, size};
pub(crate) use reader::{Filters, Reader, Step};
pub(crate) use request::{Ack, Api, in_time, json, nanoseconds, parse};
pub(crate) use subjects::subjects;
