//! The program `cim-es`, as a person and as a script meet it: a program of tests of its own, since it needs the binary.

mod carrying;
mod causes;
mod guide;
mod looking;
mod meant;
mod parked;
mod proving;
mod queue;
mod servers;
mod support;
mod unattended;
mod whole;
