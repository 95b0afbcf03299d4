//! Connecting: every failure has a type of its own, and none is a storm of attempts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use cim_es::ErrorChain;
use cim_es::jetstream::{ConnectError, EventStoreConfig, JetStreamEventStore, NatsConfig};
use cim_es_tests::nats::{Authority, Certificate, Cluster, Layout, Operator, Server, Tls, User};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A directory for the files of a client.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("cim-es-connect-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn as_writer(server: &Server) -> NatsConfig {
    NatsConfig::new([server.url()]).user_and_password("writer", User::Writer.password())
}

fn tls(certificate: &Certificate, clients: &Authority) -> Tls {
    Tls {
        certificate: certificate.certificate.clone(),
        key: certificate.key.clone(),
        authority: clients.pem().to_owned(),
    }
}

fn tls_server(certificate: &Certificate, clients: &Authority) -> Server {
    Server::start_with(&Layout::Tls(tls(certificate, clients)))
}

fn with_certificate(config: NatsConfig, files: &Files, certificate: &Certificate) -> NatsConfig {
    let key = files.write("client-key.pem", &certificate.key);
    config.client_cert(files.write("client.pem", &certificate.certificate), key)
}

/// The error of a connection that is refused at once.
async fn refused(config: NatsConfig) -> ConnectError {
    let started = Instant::now();
    let error = config.connect().await.expect_err("it must not connect");
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{error} took {:?}",
        started.elapsed()
    );
    error
}

#[tokio::test]
async fn mutual_tls_connects_with_certificates_of_the_authority() {
    let files = Files::new("mutual");
    let authority = Authority::new("authority");
    let server = tls_server(&authority.sign("server", 2090), &authority);
    let config = as_writer(&server).ca_cert(files.write("authority.pem", authority.pem()));
    let config = with_certificate(config, &files, &authority.sign("client", 2090));
    let connection = config.connect().await.unwrap();
    connection.check_jetstream().await.unwrap();
    assert!(connection.client().server_info().tls_required);
}

#[tokio::test]
async fn servers_of_a_cluster_talk_tls_to_each_other_and_keep_three_replicas() {
    let files = Files::new("cluster");
    let authority = Authority::new("authority");
    let cluster = Cluster::start_with_tls(3, &tls(&authority.sign("server", 2090), &authority));
    let config =
        NatsConfig::new(cluster.urls()).user_and_password("operator", User::Operator.password());
    let config = config.ca_cert(files.write("authority.pem", authority.pem()));
    let config = with_certificate(config, &files, &authority.sign("client", 2090));
    let connection = config.connect().await.unwrap();
    let stream = EventStoreConfig::new("LIBRARY_EVENTS", ["library.>"]).replicas(3);
    let end = Instant::now() + Duration::from_secs(30);
    // The servers find each other first.
    while let Err(error) = JetStreamEventStore::open(connection.clone(), stream.clone()).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for route in cluster.routes() {
        let route = tokio::net::TcpStream::connect(route).await.unwrap();
        let said = refusal_of_tls_1_2(route, &authority).await;
        assert!(said.contains("ProtocolVersion"), "{said}");
    }
}

#[tokio::test]
async fn each_certificate_that_is_wrong_has_an_error_of_its_own() {
    let files = Files::new("wrong");
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let server = tls_server(&authority.sign("server", 2090), &authority);
    let trusting = as_writer(&server).ca_cert(files.write("authority.pem", authority.pem()));

    let wrong_authority = as_writer(&server).ca_cert(files.write("other.pem", other.pem()));
    let wrong_authority =
        with_certificate(wrong_authority, &files, &authority.sign("client", 2090));
    let error = refused(wrong_authority).await;
    assert!(
        matches!(error, ConnectError::ServerNotTrusted { .. }),
        "{error}"
    );

    let namesake = Authority::new("authority");
    let wrong_key = as_writer(&server).ca_cert(files.write("namesake.pem", namesake.pem()));
    let error = refused(wrong_key).await;
    assert!(
        matches!(error, ConnectError::ServerNotTrusted { .. }),
        "{error}"
    );

    let error = refused(trusting.clone()).await;
    assert!(
        matches!(error, ConnectError::CertificateRefused { .. }),
        "no certificate: {error}"
    );

    let foreign = with_certificate(trusting.clone(), &files, &other.sign("client", 2090));
    let error = refused(foreign).await;
    assert!(
        matches!(error, ConnectError::CertificateRefused { .. }),
        "foreign: {error}"
    );

    let expired = with_certificate(trusting.clone(), &files, &authority.sign("client", 2021));
    let error = refused(expired).await;
    assert!(
        matches!(error, ConnectError::CertificateExpired { .. }),
        "expired: {error}"
    );

    let old = tls_server(&authority.sign("server", 2021), &authority);
    let config = as_writer(&old).ca_cert(files.write("authority.pem", authority.pem()));
    let error = refused(with_certificate(
        config,
        &files,
        &authority.sign("client", 2090),
    ))
    .await;
    assert!(
        matches!(error, ConnectError::ServerCertificateExpired { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let files = Files::new("files");
    let server = Server::start();
    let missing = files.0.join("missing.pem");
    let nothing = files.write("nothing.pem", "nothing");
    let config = || as_writer(&server);
    for (config, key) in [
        (config().ca_cert(&missing), "tls.ca_cert"),
        (config().ca_cert(&nothing), "tls.ca_cert"),
        (config().client_cert(&nothing, &missing), "tls.client_cert"),
        (config().credentials(&missing), "credentials"),
        (config().credentials(&nothing), "credentials"),
        (config().nkey(nothing.to_str().unwrap()), "nkey"),
    ] {
        let error = refused(config).await;
        assert!(
            matches!(&error, ConnectError::File { key: it, .. } if *it == key),
            "{key}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = Server::start();
    let mut config = as_writer(&server);
    config.tls.required = true;
    let error = refused(config).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
}

/// A server that asks for TLS and speaks one version of it.
async fn server_of_tls(
    version: &'static SupportedProtocolVersion,
    certificate: &Certificate,
) -> String {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap(),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let info = r#"{"server_id":"A","server_name":"a","version":"2.15.1","go":"","host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"proto":1,"client_id":1,"tls_required":true}"#;
                plain
                    .write_all(format!("INFO {info}\r\n").as_bytes())
                    .await?;
                let (read, mut write) = tokio::io::split(acceptor.accept(plain).await?);
                let mut lines = tokio::io::BufReader::new(read).lines();
                while let Some(line) = lines.next_line().await? {
                    if line.starts_with("PING") {
                        write.write_all(b"PONG\r\n").await?;
                    }
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    format!("nats://{address}")
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_newer_than_1_2_is_refused() {
    let files = Files::new("old-tls");
    let authority = Authority::new("authority");
    let certificate = authority.sign("server", 2090);
    let authority = files.write("authority.pem", authority.pem());
    let url = server_of_tls(&TLS13, &certificate).await;
    let config = NatsConfig::new([url]).ca_cert(&authority);
    config.connect().await.unwrap();
    let url = server_of_tls(&TLS12, &certificate).await;
    // Also where the address does not ask for TLS, and the server does.
    let mut config = NatsConfig::new([url]).ca_cert(&authority);
    for is_required in [true, false] {
        config.tls.required = is_required;
        let error = refused(config.clone()).await;
        assert!(matches!(error, ConnectError::TlsTooOld { .. }), "{error}");
        assert!(
            ErrorChain(&error).to_string().contains("TLS 1.3"),
            "{error}"
        );
    }
}

/// What comes of a handshake with TLS 1.2.
async fn refusal_of_tls_1_2(stream: tokio::net::TcpStream, authority: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(authority.pem().as_bytes());
    roots.add(trusted.unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect("127.0.0.1".try_into().unwrap(), stream);
    ErrorChain(&connected.await.unwrap_err()).to_string()
}

#[tokio::test]
async fn the_sample_server_speaks_no_tls_older_than_1_3() {
    let authority = Authority::new("authority");
    let server = tls_server(&authority.sign("server", 2090), &authority);
    let plain = tokio::net::TcpStream::connect(server.address()).await;
    let mut plain = tokio::io::BufReader::new(plain.unwrap());
    let mut info = String::new();
    plain.read_line(&mut info).await.unwrap();
    assert!(info.starts_with("INFO"), "{info}");
    let said = refusal_of_tls_1_2(plain.into_inner(), &authority).await;
    assert!(said.contains("ProtocolVersion"), "{said}");
}

#[tokio::test]
async fn a_wrong_login_is_refused_after_one_attempt_and_does_not_show_it() {
    let server = Server::start();
    let config = NatsConfig::new([server.url()]);
    for config in [
        config.clone(),
        config.clone().user_and_password("writer", "hunter2"),
        config.clone().user_and_password("nobody", "hunter2"),
        config.token("hunter2"),
    ] {
        let error = refused(config).await;
        assert!(
            matches!(error, ConnectError::LoginRefused { .. }),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let attempts = server.log().matches("authentication error").count();
    assert_eq!(attempts, 4, "{}", server.log());
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = refused(NatsConfig::new([format!("nats://me:hunter2@{free}")])).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(
        ErrorChain(&error).to_string().contains(&free.to_string()),
        "{error}"
    );
    assert!(
        !ErrorChain(&error).to_string().contains("hunter2"),
        "{error}"
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = NatsConfig::new([format!("nats://{}", silent.local_addr().unwrap())]);
    let error = refused(config.connection_timeout(Duration::from_millis(300))).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_login_by_nkey_and_one_by_token_connect() {
    let key = nkeys::KeyPair::new_user();
    let text = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        key.public_key()
    );
    let server = Server::start_with(&Layout::Login { text });
    let seed = key.seed().unwrap();
    let config = NatsConfig::new([server.url()]);
    config.clone().nkey(seed.as_str()).connect().await.unwrap();
    let files = Files::new("nkey");
    let file = files.write("user.nk", &format!("{seed}\n"));
    config
        .clone()
        .nkey(file.to_str().unwrap())
        .connect()
        .await
        .unwrap();
    let other = nkeys::KeyPair::new_user().seed().unwrap();
    let error = refused(config.nkey(other)).await;
    assert!(
        matches!(error, ConnectError::LoginRefused { .. }),
        "{error}"
    );

    let text = "authorization { token: \"let me in\" }".to_owned();
    let server = Server::start_with(&Layout::Login { text });
    NatsConfig::new([server.url()])
        .token("let me in")
        .connect()
        .await
        .unwrap();
    let in_address = server.url().replace("nats://", "nats://let%20me%20in@");
    NatsConfig::new([in_address]).connect().await.unwrap();
}

#[tokio::test]
async fn users_that_are_jwts_see_their_own_account_alone() {
    let files = Files::new("jwt");
    let (operator, stranger) = (Operator::new(), Operator::new());
    let (one, two, bare) = (
        operator.account("ONE", true),
        operator.account("TWO", true),
        operator.account("BARE", false),
    );
    let accounts = operator.configuration(&[&one, &two, &bare]);
    let server = Server::start_with(&Layout::Jwt { accounts });
    let config = |name: &str, credentials: String| {
        NatsConfig::new([server.url()]).credentials(files.write(name, &credentials))
    };
    let everything = [">"];
    let of_one = config("one", one.user("one", &everything, &everything, None));
    let of_one = of_one.connect().await.unwrap();
    of_one.check_jetstream().await.unwrap();
    let context = of_one.jetstream();
    let created = context.create_stream(jetstream::stream::Config {
        name: "CARS".to_owned(),
        ..Default::default()
    });
    created.await.unwrap();

    let of_two = config("two", two.user("two", &everything, &everything, None));
    let of_two = of_two.connect().await.unwrap();
    of_two.check_jetstream().await.unwrap();
    assert!(of_two.jetstream().get_stream("CARS").await.is_err());

    let of_bare = config("bare", bare.user("bare", &everything, &everything, None));
    let error = of_bare
        .connect()
        .await
        .unwrap()
        .check_jetstream()
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::NoJetStream { .. }), "{error}");

    let expired = one.user("expired", &everything, &everything, Some(1_600_000_001));
    let foreign = stranger
        .account("ONE", true)
        .user("foreign", &everything, &everything, None);
    for (name, credentials) in [("expired", expired), ("foreign", foreign)] {
        let error = refused(config(name, credentials)).await;
        assert!(
            matches!(error, ConnectError::LoginRefused { .. }),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let mut server = Server::start();
    let config = as_writer(&server).reconnect_delay(Duration::from_millis(50));
    let connection = config.connect().await.unwrap();
    server.restart();
    let end = Instant::now() + Duration::from_secs(10);
    let second = Duration::from_secs(1);
    while !matches!(
        tokio::time::timeout(second, connection.check_jetstream()).await,
        Ok(Ok(()))
    ) {
        assert!(Instant::now() < end);
    }
    assert!(connection.why_ended().is_none());
}

#[tokio::test]
async fn a_connection_is_given_up_after_the_configured_number_of_attempts() {
    let mut server = Server::start();
    let config = as_writer(&server);
    let config = config
        .reconnect_delay(Duration::from_millis(40))
        .max_reconnects(5);
    let connection = config.connect().await.unwrap();
    let started = Instant::now();
    server.kill();
    let ended = tokio::time::timeout(Duration::from_secs(20), connection.ended())
        .await
        .unwrap();
    assert!(
        matches!(ended, ConnectError::GivenUp { attempts: 5, .. }),
        "{ended}"
    );
    // Half of 40 + 80 + 160 + 320 + 640 ms at least.
    assert!(
        started.elapsed() > Duration::from_millis(600),
        "{:?}",
        started.elapsed()
    );
    // From then on every use fails at once.
    let request = connection.client().request("anything", "".into());
    let answer = tokio::time::timeout(Duration::from_secs(1), request)
        .await
        .unwrap();
    assert!(answer.is_err());
    assert!(matches!(
        connection.why_ended(),
        Some(ConnectError::GivenUp { .. })
    ));
}

/// A server that says one thing after the login and closes; it counts the connections.
fn rude_server(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let info = r#"{"server_id":"A","server_name":"a","version":"2.15.1","go":"","host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"proto":1,"client_id":1}"#;
            let mut writer = &stream;
            let _ = write!(writer, "INFO {info}\r\n");
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let _ = lines.take_while(|line| line != "PING").count();
            let _ = write!(writer, "{answer}\r\n");
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_server_that_refuses_the_login_is_asked_once() {
    let (address, count) = rude_server("-ERR 'Authorization Violation'");
    let error = refused(NatsConfig::new([address])).await;
    assert!(
        matches!(error, ConnectError::LoginRefused { .. }),
        "{error}"
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_that_drops_every_client_meets_no_storm() {
    let (address, count) = rude_server("PONG");
    let config = NatsConfig::new([address]).reconnect_delay(Duration::from_millis(50));
    let _connection = config.connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // 50 ms that double: about seven attempts fit into three seconds, and half of each delay is at random.
    let count = count.load(Ordering::Relaxed);
    assert!(
        (3..=12).contains(&count),
        "{count} connections in three seconds"
    );
}
