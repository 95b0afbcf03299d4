//! The servers that other tests run on.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;
use cim_es_tests::nats::{Cluster, Server, User};

fn stream(replicas: usize) -> Config {
    Config {
        name: "CARS".to_owned(),
        subjects: vec!["cars.>".to_owned()],
        num_replicas: replicas,
        ..Config::default()
    }
}

#[tokio::test]
async fn what_a_killed_server_stored_is_there_after_its_restart() {
    let mut server = Server::start();
    let client = server.connect(User::Operator).await;
    let context = jetstream::new(client);
    context.create_stream(stream(1)).await.unwrap();
    context
        .publish("cars.one", "body".into())
        .await
        .unwrap()
        .await
        .unwrap();
    server.kill();
    assert!(!server.is_running());
    server.restart();
    let client = server.connect(User::Operator).await;
    let mut found = jetstream::new(client).get_stream("CARS").await.unwrap();
    assert_eq!(found.info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_paused_server_answers_again_when_it_goes_on() {
    let server = Server::start();
    let client = server.connect(User::Operator).await;
    let ask = |patience| {
        let answer = client.request("$JS.API.INFO", "".into());
        tokio::time::timeout(Duration::from_millis(patience), answer)
    };
    ask(5_000).await.unwrap().unwrap();
    server.pause();
    let answered = ask(300).await;
    assert!(!matches!(answered, Ok(Ok(_))), "{answered:?}");
    server.resume();
    ask(5_000).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_behind() {
    let server = Server::start();
    let (directory, address) = (server.directory(), server.address());
    assert!(directory.exists());
    drop(server);
    assert!(!directory.exists());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn a_stream_with_three_replicas_survives_each_of_its_servers() {
    let mut cluster = Cluster::start(3);
    let client = cluster.connect(User::Operator).await;
    let mut context = jetstream::new(client.clone());
    context.create_stream(stream(3)).await.unwrap();
    context.set_timeout(Duration::from_millis(500));
    let former = cluster.step_down(&client, "CARS").await;
    assert!(former < 3);
    for index in 0..3 {
        cluster.server(index).kill();
        let end = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let publish = context.publish("cars.one", "body".into()).await;
            if let Ok(acknowledgement) = publish
                && acknowledgement.await.is_ok()
            {
                break;
            }
            assert!(std::time::Instant::now() < end, "nobody took over");
        }
        cluster.server(index).restart();
        cluster.wait_until_healthy();
    }
    let mut found = context.get_stream("CARS").await.unwrap();
    assert!(found.info().await.unwrap().state.messages >= 3);
}

/// The half of the next test that is killed: it starts a server, says where, and waits.
#[test]
#[ignore = "run by servers_end_with_a_killed_test_process"]
fn a_server_that_waits_to_be_killed() {
    let server = Server::start();
    println!(
        "SERVER {} {}",
        server.address(),
        server.directory().display()
    );
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn servers_end_with_a_killed_test_process() {
    use std::io::{BufRead, BufReader};
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "nats_servers::a_server_that_waits_to_be_killed",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("SERVER ").map(|(_, rest)| rest.to_owned()))
        .expect("the server says where it is");
    let (address, directory) = line.split_once(' ').unwrap();
    assert!(std::net::TcpStream::connect(address).is_ok());
    process.kill().unwrap();
    process.wait().unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    let is_gone = || {
        !std::path::Path::new(directory).exists() && std::net::TcpStream::connect(address).is_err()
    };
    while !is_gone() {
        assert!(
            std::time::Instant::now() < end,
            "{address} or {directory} is still there"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
