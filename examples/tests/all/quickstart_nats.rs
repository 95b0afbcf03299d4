//! The first program on a NATS server.

use crate::support::Machine;
use cim_es_tests::nats::{Server, User};

/// The address of a server with the login of a user who may do everything.
fn url(server: &Server) -> String {
    let password = User::Operator.password();
    format!("nats://operator:{password}@{}", server.address())
}

#[test]
fn a_server_keeps_the_same_history_as_a_file() {
    let server = Server::start();
    let url = url(&server);
    let mut machine = Machine::new();
    let in_file = machine.run(&["--json"]).json();

    let first = machine.run(&["--json", "--nats", &url]).json();
    assert_eq!(first["outcome"], "registered");
    assert_eq!(first["recorded"], 4);
    for row in ["subject", "version", "data", "payload_cid"] {
        for event in 0..4 {
            assert_eq!(first["events"][event][row], in_file["events"][event][row]);
        }
    }
    assert_eq!(first["verification"]["verified"], true);

    let second = machine.run(&["--json", "--nats", &url]).json();
    assert_eq!(second["outcome"], "unchanged");
    assert_eq!(second["verification"], first["verification"]);

    machine.host.capabilities.cores = 16;
    let third = machine.run(&["--json", "--nats", &url]).json();
    assert_eq!(
        (&third["outcome"], &third["recorded"]),
        (&"updated".into(), &1.into())
    );

    let end = machine.run(&["--json", "--nats", &url, "--decommission", "replaced"]);
    assert_eq!(end.json()["state"], "Decommissioned");
}

#[test]
fn the_store_is_named_without_its_password() {
    let server = Server::start();
    let text = Machine::new().run(&["--nats", &url(&server)]).out;
    let place = format!(
        "in stream INFRASTRUCTURE_EVENTS on nats://{}\n",
        server.address()
    );
    assert!(text.contains(&place), "{text}");
    assert!(!text.contains(&User::Operator.password()), "{text}");
}

#[test]
fn a_server_that_does_not_answer_is_one_line() {
    let mut server = Server::start();
    let (url, address) = (url(&server), server.address());
    server.kill();
    let ran = Machine::new().run(&["--nats", &url]);
    let message = ran.refusal(1);
    assert!(message.contains(&address), "{message}");
    assert!(!message.contains(&User::Operator.password()), "{message}");
}

#[test]
fn a_wrong_password_is_one_line() {
    let server = Server::start();
    let url = format!("nats://operator:guess@{}", server.address());
    let ran = Machine::new().run(&["--nats", &url]);
    let message = ran.refusal(1);
    assert!(message.contains(&server.address()), "{message}");
    assert!(!message.contains("guess"), "{message}");
}

#[test]
fn a_server_and_a_file_are_not_named_together() {
    for other in [["--store", "some.db"].as_slice(), &["--tamper"]] {
        let args = [&["--nats", "nats://127.0.0.1:4222"], other].concat();
        let ran = Machine::new().run(&args);
        assert_eq!(ran.code, std::process::ExitCode::from(2));
        assert!(ran.err.contains("cannot be used with"), "{}", ran.err);
    }
}
