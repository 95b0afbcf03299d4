//! Every command, on stores that have something of everything.

use std::collections::BTreeSet;
use std::path::Path;

use cim_es::aggregate::IdText;
use cim_es::block::Cid;
use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es::message::MessageIdentity;
use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, ObjectStore};
use serde_json::Value;
use uuid::Uuid;

use super::document::Document;
use crate::parked::park;
use crate::queue::{apart, brought, too_large};
use crate::server::Server;
use crate::support::{
    Directory, KEY, append, at, damage, event, file, fill, library, lines, program, run,
};

/// The CID of a block that no store has as an event.
const OBJECT: &str = "bafyreihltcnuuyqp2jm24aqydpnlj7b6w3ogwrplomrjtg5rifv44mmjey";
const ORIGIN: &str = "example.org/library";

/// What was run, and what was seen.
pub struct Runs<'a> {
    document: &'a Document,
    directory: &'a Directory,
    /// The store that most of them are about.
    store: String,
    pub headings: BTreeSet<String>,
    pub seen: BTreeSet<(String, String)>,
}

/// A commit of a book and a reader, caused by what the last event says, and by what nobody has here.
async fn lend(store: &dyn EventStore) {
    let id = Uuid::from_u128(0x0197_a3e0_0000_7000_8000_0000_0000_1000);
    let key =
        |kind: &'static str, id: &str| AggregateKey::new(kind, IdText::new(id).expect("an id"));
    let last = store
        .last(&key("library.book", "4711"))
        .await
        .expect("it reads");
    let elsewhere: Cid = OBJECT.parse().expect("a CID");
    let parents = [last.expect("an event").cid, elsewhere];
    let commit = CommitRequest::new(MessageIdentity::root(id, Some("ann")), at(5))
        .aggregate(
            key("library.book", "4713"),
            ExpectedVersion::Any,
            vec![event("book.acquired", "Persuasion").with_parents(parents)],
        )
        .aggregate(
            key("library.reader", "ben"),
            ExpectedVersion::Any,
            vec![event("reader.registered", "Ben")],
        );
    store.append(commit).await.expect("it is stored");
}

/// A stream of some subjects alone, which nobody says on the command line.
fn config(server: &Server) -> NatsConfig {
    let stream = EventStoreConfig::new("LIBRARY", ["library.>"]);
    NatsConfig::new([server.url.clone()]).event_store(stream)
}

/// Fills a store with something of everything.
async fn fill_with_all(store: &(impl EventStore + Clone), objects: &dyn ObjectStore) {
    library(store).await;
    lend(store).await;
    let cbor = objects.put_object(b"\xa1\x61a\x01".to_vec().into()).await;
    cbor.expect("it is kept");
    park(store).await;
}

impl<'a> Runs<'a> {
    /// Runs all of them on a file, or on a stream of a server.
    pub fn on(directory: &'a Directory, server: Option<&Server>, document: &'a Document) -> Self {
        let store = match server {
            None => {
                let path = directory.file("all.db");
                fill(&path, async |store| fill_with_all(store, store).await);
                text(&path).to_owned()
            }
            Some(server) => {
                run(async {
                    let stores = config(server).open().await.expect("they open");
                    fill_with_all(&stores.events, &stores.objects).await;
                });
                format!("{}/LIBRARY", server.url)
            }
        };
        let mut runs = Self {
            document,
            directory,
            store,
            headings: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        runs.look();
        runs.carry();
        runs.prove();
        runs.stay_level(server);
        runs.give_up();
        runs
    }

    fn file(&self, name: &str) -> String {
        text(&self.directory.file(name)).to_owned()
    }

    fn write(&self, name: &str, from: &Value) -> String {
        let path = self.file(name);
        let bytes = from.as_str().expect("a text");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Runs a command that ends well, and holds each line that it prints against the page.
    fn run(&mut self, heading: &str, arguments: &[&str]) -> Vec<Value> {
        let store = self.store.clone();
        self.run_on(&store, heading, arguments, &[0])
    }

    fn run_on(
        &mut self,
        store: &str,
        heading: &str,
        arguments: &[&str],
        codes: &[i32],
    ) -> Vec<Value> {
        let mut program = program();
        program.args(["--json", "-s", store]).args(arguments);
        let answer = program.current_dir(self.directory.path()).output();
        let answer = answer.expect("it runs").into();
        let crate::support::Answer { code, .. } = answer;
        assert!(codes.contains(&code), "{arguments:?}: {answer:?}");
        let printed = lines(&answer);
        assert!(!printed.is_empty(), "{arguments:?} prints nothing");
        for value in &printed {
            let checked = self.document.check(heading, value, &mut self.seen);
            checked.unwrap_or_else(|wrong| panic!("{arguments:?}: {wrong}"));
        }
        self.headings.insert(heading.to_owned());
        printed
    }

    fn look(&mut self) {
        self.run("streams", &["streams"]);
        self.run("streams --kinds", &["streams", "--kinds"]);
        let events = self.run("show", &["show", "library.book", "4711"]);
        self.run("tail", &["tail"]);
        let cid = events[2]["cid"].as_str().expect("a text").to_owned();
        self.run("dag", &["dag", &cid, "--both"]);
        let lent = self.run("show", &["show", "library.book", "4713"]);
        let lent = lent[0]["cid"].as_str().expect("a text").to_owned();
        let drawn = self.run("dag", &["dag", &lent]);
        assert!(drawn[0].to_string().contains("unknown"), "{drawn:?}");
        self.run("replay", &["replay"]);
        let objects = self.run("objects", &["objects"]);
        let object = objects[0]["cid"].as_str().expect("a text").to_owned();
        self.run("objects CID", &["objects", &object]);
        self.run("parked", &["parked", "reminders"]);
        self.run("parked", &["parked", "reminders", "--resend", "3"]);
        let store = self.store.clone();
        self.run_on(&store, "doctor", &["doctor"], &[0, 6]);
        self.run("verify", &["verify"]);
        // Damage is of a file; what is said of it is the same.
        let directory = Directory::new();
        let damaged = file(&directory);
        damage(&damaged, "Ulysses", "ulysses");
        self.run_on(text(&damaged), "verify", &["verify"], &[1]);
    }

    fn carry(&mut self) {
        let ann = ["export", "ben.car", "--aggregate", "library.reader/ben"];
        self.run("export", &ann);
        self.run("export", &["export", "all.car", "--source", "the library"]);
        self.run("import", &["import", "all.car"]);
        // Another store, in which the book went another way.
        let other = self.directory.file("other.db");
        let book = ("library.book", "4711");
        fill(&other, async |store| {
            append(store, 1, book, vec![event("book.acquired", "Emma")]).await;
        });
        self.run_on(text(&other), "export", &["export", "first.car"], &[0]);
        fill(&other, async |store| {
            append(store, 2, book, vec![event("book.lost", "Emma")]).await;
        });
        let since = ["export", "since.car", "--since", "first.car"];
        self.run_on(text(&other), "export", &since, &[0]);
        let store = self.store.clone();
        self.run_on(&store, "import", &["import", "since.car", "--others"], &[1]);
        self.run("identity new", &["identity", "new", "ann.identity"]);
        self.run(
            "identity recipient",
            &["identity", "recipient", "ann.identity"],
        );
        self.run("import --check", &["import", "since.car", "--check"]);
    }

    fn prove(&mut self) {
        let key = ["--origin", ORIGIN, "--key", "library.pem"];
        let new = self.run(
            "checkpoint new-key",
            &[&["checkpoint", "new-key"], &key[..]].concat(),
        );
        self.run(
            "checkpoint key",
            &[&["checkpoint", "key"], &key[..]].concat(),
        );
        let trust = self.write("keys.txt", &new[0]["key"]);
        let trust = ["--trust", &trust];
        let made = self.run(
            "checkpoint make",
            &[&["checkpoint", "make"], &key[..]].concat(),
        );
        let made = self.write("made.checkpoint", &made[0]["checkpoint"]);
        for (heading, of) in [("checkpoint audit", "audit"), ("checkpoint check", "check")] {
            self.run(heading, &[&["checkpoint", of, &made], &trust[..]].concat());
        }
        // A bundle that somebody signed.
        let signed = [
            "export",
            "signed.car",
            "--sign-as",
            ORIGIN,
            "--key",
            "library.pem",
        ];
        self.run("export", &signed);
        let check = ["import", "signed.car", "--check"];
        self.run("import --check", &[&check[..], &trust].concat());
        let event = self.run("tail", &["tail", "-n", "1"])[0]["cid"].clone();
        let event = event.as_str().expect("a text");
        let proof = self.run("prove event", &["prove", "event", event]);
        let proof = self.write("event.proof", &proof[0]["proof"]);
        let check = ["prove", "check", &proof, "--event", event];
        self.run("prove check", &[&check[..], &trust].concat());
        let growth = self.run("prove growth", &["prove", "growth"]);
        let growth = self.write("growth.proof", &growth[0]["proof"]);
        let witness = KEY.replace("AAECAwQF", "AQECAwQF");
        let witness = self.write("witness.pem", &Value::from(witness));
        let cosign = [
            "checkpoint",
            "cosign",
            &growth,
            "--name",
            "example.net/witness",
        ];
        let with = ["--key", &witness, "--last", "last.checkpoint"];
        self.run("checkpoint cosign", &[&cosign[..], &with, &trust].concat());
    }

    /// A file that is kept level with the stream, or with another file that stands for it.
    fn stay_level(&mut self, server: Option<&Server>) {
        let field = self.directory.file("field.db");
        let from = match server {
            None => {
                let stream = self.directory.file("stream.db");
                fill(&stream, async |store| apart(&field, store.clone()).await);
                text(&stream).to_owned()
            }
            Some(server) => {
                let stores = config(server);
                run(async { apart(&field, stores.open().await.expect("they open")).await });
                self.store.clone()
            }
        };
        let field = text(&field);
        self.run_on(field, "queue", &["queue"], &[0]);
        self.run_on(field, "queue", &["queue", "--from", &from], &[0]);
        let keep = [
            "queue",
            "--keep-theirs",
            "library.book",
            "7",
            "--from",
            &from,
        ];
        self.run_on(field, "queue --keep-theirs", &keep, &[0]);
    }

    /// What the stream does not take.
    fn give_up(&mut self) {
        let parked = self.directory.file("parked.db");
        too_large(&parked);
        brought(&parked);
        self.run_on(text(&parked), "queue", &["queue"], &[0]);
        self.run_on(text(&parked), "queue", &["queue", "--resend", "2"], &[0]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
