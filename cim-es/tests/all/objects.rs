//! Values of any type as objects.

use std::collections::BTreeMap;

use cim_es::MemoryEventStore;
use cim_es::block::{Cid, HashCode, verify_cid};
use cim_es::store::{ObjectError, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    name: String,
    weight: f64,
    made_of: Vec<Cid>,
    more: BTreeMap<String, Option<i64>>,
}

fn part(name: &str, made_of: Vec<Cid>) -> Part {
    Part {
        name: name.to_owned(),
        weight: 0.5,
        made_of,
        more: [("a".to_owned(), None), ("bb".to_owned(), Some(-1))].into(),
    }
}

#[tokio::test]
async fn a_value_is_kept_once_as_a_block_of_dag_cbor_and_read_back() {
    let objects = MemoryEventStore::new();
    let bolt = objects
        .store(&part("bolt", Vec::new()))
        .await
        .expect("it is kept");
    let wheel = part("wheel", vec![bolt, bolt]);
    let cid = objects.store(&wheel).await.expect("it is kept");
    assert_eq!(objects.store(&wheel).await.expect("it is kept"), cid);
    assert_eq!(
        objects.get(&cid).await.expect("it reads"),
        Some(wheel.clone())
    );
    let block = objects
        .get_object(&cid)
        .await
        .expect("it reads")
        .expect("it is there");
    assert!(verify_cid(&cid, &block));
    assert_eq!(
        block,
        serde_ipld_dagcbor::to_vec(&wheel).expect("it encodes")
    );
    let nothing = HashCode::Sha2_256.cid(b"nothing");
    assert_eq!(objects.get::<Part>(&nothing).await.expect("it reads"), None);
}

#[tokio::test]
async fn what_dag_cbor_does_not_have_is_refused_and_nothing_is_kept() {
    let objects = MemoryEventStore::new();
    let nan = Part {
        weight: f64::NAN,
        ..part("ghost", Vec::new())
    };
    let refused = objects.store(&nan).await;
    assert!(
        matches!(refused, Err(ObjectError::NotStorable { .. })),
        "{refused:?}"
    );
    let keys: BTreeMap<u8, u8> = [(1, 2)].into();
    let refused = objects.store(&keys).await;
    assert!(
        matches!(refused, Err(ObjectError::NotStorable { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_block_that_is_another_value_says_so() {
    let objects = MemoryEventStore::new();
    let cid = objects.store("a text").await.expect("it is kept");
    let refused = objects.get::<Part>(&cid).await;
    let is_told =
        matches!(&refused, Err(ObjectError::Unreadable { cid: told, .. }) if **told == cid);
    assert!(is_told, "{refused:?}");
    assert_eq!(
        objects
            .get::<String>(&cid)
            .await
            .expect("it reads")
            .as_deref(),
        Some("a text")
    );
}
