//! Events and their links as a graph: every question is answered as by going through a list of all events.

mod drawings;
mod live;
mod model;
mod near;
mod objects;
mod questions;
