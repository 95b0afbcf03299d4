//! The program `cim-es`, as a person and as a script meet it: a program of tests of its own, since it needs the binary.

mod answers;
mod carrying;
mod causes;
mod guide;
mod looking;
mod making;
mod meant;
mod parked;
mod proving;
mod queue;
mod server;
mod servers;
mod shapes;
mod support;
mod unattended;
mod whole;
