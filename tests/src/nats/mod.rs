//! NATS servers for tests, started from the sample configuration in `deploy/nats`.
//!
//! A [`Server`] is one process on a free loopback port with a directory of its own, a [`Cluster`] is several of them.
//! Dropping one kills its process and removes its directory; when the test process itself is killed, a watchdog does.
//!
//! ```no_run
//! use cim_es_tests::nats::{Server, User};
//!
//! # async fn example() {
//! let server = Server::start();
//! let client = server.connect(User::Operator).await;
//! # }
//! ```

mod binary;
mod certificate;
mod cluster;
mod jwt;
mod network;
mod place;
mod port;
mod process;
mod server;
mod site;
mod user;
mod wire;

pub use certificate::{Authority, Certificate};
pub use cluster::Cluster;
pub use jwt::{Account, Operator};
pub use network::Network;
pub(crate) use port::Port;
pub use server::Server;
pub use site::{Layout, Tls};
pub use user::User;
