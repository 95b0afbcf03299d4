//! The CID of a 300 B event (two blocks, as stored), beside bare encodings and digests of the same content.
//!
//! `bare` is the sum of two `serde_ipld_dagcbor` encodings and two SHA2-256 digests; `blocks` makes the two blocks and
//! their CIDs and checks that they are canonical; `append` also proves that the payload reads back, as every append of a
//! typed event does. `read_bare` decodes and hashes both blocks; `read_verified` proves the event and decodes it.
#![allow(missing_docs, reason = "criterion's macros write functions")]

use std::hint::black_box;

use bytes::Bytes;
use cim_es::block::{Envelope, StoredEvent};
use cim_es::store::{NewEvent, Position, SealOptions, seal};
use cim_es_benches::{EVENT_TYPE, HostEvent, Registration, commit, registration};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sha2::{Digest, Sha256};

fn cid(criterion: &mut Criterion) {
    let options = SealOptions::default();
    let content = registration(1);
    let event = HostEvent::Registered(content.clone());
    let sealed = seal(
        commit(1, 1, vec![NewEvent::of(&event).expect("storable")]),
        &[None],
        &options,
    )
    .expect("a whole commit")
    .remove(0);
    let stored = sealed.into_stored(Position(1));
    println!(
        "payload {} B, envelope {} B, body {} B",
        stored.payload().len(),
        stored.envelope_bytes().len(),
        stored.body().len()
    );
    let mut group = criterion.benchmark_group("cid");
    group.bench_function("bare", |bencher| {
        bencher.iter(|| bare(black_box(&content), black_box(&stored.envelope)));
    });
    group.bench_function("blocks", |bencher| {
        bencher.iter_batched(
            || commit(1, 1, Vec::with_capacity(1)),
            |mut commit| {
                let payload = serde_ipld_dagcbor::to_vec(black_box(&content)).expect("storable");
                let event = NewEvent::from_payload(EVENT_TYPE, 1, payload);
                commit.aggregates[0].events.push(event);
                seal(commit, &[None], &options)
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("append", |bencher| {
        bencher.iter_batched(
            || commit(1, 1, Vec::with_capacity(1)),
            |mut commit| {
                let event = NewEvent::of(black_box(&event)).expect("storable");
                commit.aggregates[0].events.push(event);
                seal(commit, &[None], &options)
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("read_bare", |bencher| {
        bencher.iter(|| read_bare(black_box(&stored)));
    });
    group.bench_function("read_verified", |bencher| {
        bencher.iter_batched(
            || stored.body().clone(),
            |body| read_verified(black_box(&stored), body),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("verify_alone", |bencher| {
        bencher.iter_batched(
            || stored.body().clone(),
            |body| StoredEvent::verify(stored.position, black_box(stored.cid), body),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn bare(content: &Registration, envelope: &Envelope) -> [Vec<u8>; 2] {
    let payload = serde_ipld_dagcbor::to_vec(content).expect("storable");
    black_box(Sha256::digest(&payload));
    let envelope = serde_ipld_dagcbor::to_vec(envelope).expect("storable");
    black_box(Sha256::digest(&envelope));
    [payload, envelope]
}

fn read_bare(stored: &StoredEvent) -> (Envelope, Registration) {
    black_box(Sha256::digest(stored.envelope_bytes()));
    black_box(Sha256::digest(stored.payload()));
    let envelope = serde_ipld_dagcbor::from_slice(stored.envelope_bytes()).expect("readable");
    let content = serde_ipld_dagcbor::from_slice(stored.payload()).expect("readable");
    (envelope, content)
}

fn read_verified(stored: &StoredEvent, body: Bytes) -> (StoredEvent, HostEvent) {
    let event = StoredEvent::verify(stored.position, stored.cid, body).expect("whole");
    let content = event.decode().expect("readable");
    (event, content)
}

criterion_group!(benches, cid);
criterion_main!(benches);
