//! A server's directory: the sample configuration, and the `site` files of this one server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Which of the sample configurations a server runs.
#[derive(Clone, Debug)]
pub enum Layout {
    /// `one-node.conf`.
    OneNode,
    /// `one-node-tls.conf`: TLS alone, clients with a certificate alone.
    Tls(Tls),
    /// `one-node-jwt.conf`.
    Jwt {
        /// The contents of `site-jwt.conf`.
        accounts: String,
    },
    /// `server.conf`, with a configuration of one's own for who may log in.
    Login {
        /// That configuration.
        text: String,
    },
    /// A server that passes messages on and stores none.
    WithoutJetStream,
    /// `three-nodes.conf`, or `three-nodes-tls.conf`.
    Cluster {
        /// The server's own port for the others.
        port: u16,
        /// The ports of all servers for each other.
        routes: Vec<u16>,
        /// For TLS alone.
        tls: Option<Tls>,
    },
    /// `server.conf` and `permissions.conf`, in a cluster that tells nobody its addresses.
    Apart {
        /// The server's own port for the others.
        port: u16,
        /// The ports under which it reaches the others.
        routes: Vec<u16>,
    },
}

/// What a server needs to talk TLS, as PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The authority that signed the certificates of clients and of other servers.
    pub authority: String,
}

impl Layout {
    pub(super) fn has_jetstream(&self) -> bool {
        !matches!(self, Self::WithoutJetStream)
    }

    fn file(&self) -> &'static str {
        match self {
            Self::OneNode => "one-node.conf",
            Self::Tls(_) => "one-node-tls.conf",
            Self::Jwt { .. } => "one-node-jwt.conf",
            Self::Login { .. } => "one-node-login.conf",
            Self::Apart { .. } => "three-nodes-apart.conf",
            Self::WithoutJetStream => "without-jetstream.conf",
            Self::Cluster { tls: None, .. } => "three-nodes.conf",
            Self::Cluster { tls: Some(_), .. } => "three-nodes-tls.conf",
        }
    }
}

/// A directory with all that one server needs; it is removed on drop.
#[derive(Debug)]
pub(super) struct Site {
    directory: PathBuf,
    file: &'static str,
}

impl Site {
    pub(super) fn new(name: &str, port: u16, layout: &Layout) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("cim-es-nats-{}-{number}", std::process::id()));
        // A former process with the same id may have been killed together with its watchdog.
        let _ = fs::remove_dir_all(&directory);
        let site = Self {
            directory,
            file: layout.file(),
        };
        make_directory(&site.directory);
        copy_samples(&site.directory);
        site.write("site.conf", &site.own(name, port));
        site.write_layout(layout);
        if !layout.has_jetstream() {
            let text = format!("server_name: {name:?}\nhost: \"127.0.0.1\"\nport: {port}\n");
            site.write(site.file, &text);
        }
        site
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn main_file(&self) -> PathBuf {
        self.directory.join(self.file)
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    fn own(&self, name: &str, port: u16) -> String {
        let store = self.directory.join("store");
        format!(
            "SITE_NAME: {name:?}\nSITE_HOST: \"127.0.0.1\"\nSITE_PORT: {port}\nSITE_DIRECTORY: {store:?}\n\
             SITE_DISK: 32GB\nSITE_MEMORY: 64MB\n"
        )
    }

    fn write_layout(&self, layout: &Layout) {
        match layout {
            Layout::OneNode | Layout::WithoutJetStream => {}
            Layout::Tls(tls) => self.write_tls(tls),
            Layout::Jwt { accounts } => {
                self.write("site-jwt.conf", accounts);
            }
            Layout::Login { text } => {
                self.write(
                    "one-node-login.conf",
                    &format!("include \"server.conf\"\n{text}\n"),
                );
            }
            Layout::Cluster { port, routes, tls } => {
                if let Some(tls) = tls {
                    self.write_tls(tls);
                }
                let routes = urls(routes);
                let site = format!(
                    "SITE_CLUSTER_HOST: \"127.0.0.1\"\nSITE_CLUSTER_PORT: {port}\nSITE_ROUTES: {routes:?}\n"
                );
                self.write("site-cluster.conf", &site);
            }
            Layout::Apart { port, routes } => {
                let routes = urls(routes);
                let main = format!(
                    "include \"server.conf\"\ninclude \"permissions.conf\"\ncluster {{\n  name: \"cim-es\"\n  host: \
                     \"127.0.0.1\"\n  port: {port}\n  routes: {routes:?}\n  no_advertise: true\n}}\n"
                );
                self.write("three-nodes-apart.conf", &main);
            }
        }
    }

    fn write_tls(&self, tls: &Tls) {
        let certificate = self.write("server.pem", &tls.certificate);
        let key = self.write("server-key.pem", &tls.key);
        let authority = self.write("authority.pem", &tls.authority);
        let site = format!(
            "SITE_CERTIFICATE: {certificate:?}\nSITE_KEY: {key:?}\nSITE_AUTHORITY: {authority:?}\n"
        );
        self.write("site-tls.conf", &site);
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn urls(ports: &[u16]) -> Vec<String> {
    let ports = ports.iter();
    ports
        .map(|port| format!("nats://127.0.0.1:{port}"))
        .collect()
}

fn make_directory(path: &Path) {
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn copy_samples(to: &Path) {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/nats");
    let entries = fs::read_dir(samples).unwrap_or_else(|error| panic!("{samples}: {error}"));
    for entry in entries.flatten() {
        let from = entry.path();
        if from
            .extension()
            .is_some_and(|extension| extension == "conf")
        {
            fs::copy(&from, to.join(entry.file_name()))
                .unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
    }
}
