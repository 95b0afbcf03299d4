use std::sync::Arc;

use proptest::prelude::*;

use super::super::edge::Edge;
use super::super::files::Files;
use super::super::tiles::{self, TileReader, index_path};
use super::super::tree::{is_consistent, is_included};
use super::{TreeHash, leaves};

/// `MTH` of RFC 6962, 2.1.
fn root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            TreeHash::above(&root(left), &root(right))
        }
    }
}

fn split(count: usize) -> usize {
    let mut left = 1;
    while left * 2 < count {
        left *= 2;
    }
    left
}

/// `PATH` of RFC 6962, 2.1.1.
fn path(index: usize, leaves: &[TreeHash]) -> Vec<TreeHash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (path(index, left), root(right)),
        Some(index) => (path(index, right), root(left)),
    };
    path.push(sibling);
    path
}

/// `SUBPROOF` of RFC 6962, 2.1.2.
fn subproof(old: usize, leaves: &[TreeHash], is_known: bool) -> Vec<TreeHash> {
    if old == leaves.len() {
        return if is_known { vec![] } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = match old <= left.len() {
        true => (subproof(old, left, is_known), root(right)),
        false => (subproof(old - left.len(), right, false), root(left)),
    };
    proof.push(sibling);
    proof
}

/// The tiles of a tree that grew by these steps.
fn tiles_of(leaves: &[TreeHash], steps: &[usize]) -> (TileReader, Edge) {
    let files = Files::Memory(Arc::default());
    let mut edge = Edge::default();
    let mut done = 0;
    for step in steps.iter().chain([&leaves.len()]) {
        let next = (done + step).min(leaves.len());
        let mut write = |tile| tiles::write(&files, &tile).expect("memory takes it");
        for leaf in &leaves[done..next] {
            edge.push(*leaf).into_iter().for_each(&mut write);
        }
        edge.partial_tiles().into_iter().for_each(write);
        let reader = TileReader::new(files.clone(), next as u64);
        let again = reader.edge().expect("the tiles are there");
        assert_eq!(again.root(), edge.root(), "the edge at {next}");
        edge = again;
        done = next;
    }
    (TileReader::new(files, leaves.len() as u64), edge)
}

#[test]
fn the_root_of_every_size_is_that_of_the_standard() {
    let leaves = leaves(300);
    let mut edge = Edge::default();
    assert_eq!(edge.root(), root(&[]));
    for (size, leaf) in (1..).zip(&leaves) {
        edge.push(*leaf);
        assert_eq!(edge.root(), root(&leaves[..size]), "{size} leaves");
    }
    let (mut reader, _) = tiles_of(&leaves, &[]);
    for size in 0..=300 {
        let found = reader.root(size).expect("the tiles are there");
        assert_eq!(found, root(&leaves[..size as usize]), "{size} leaves");
    }
}

#[test]
fn every_proof_of_small_trees_and_of_those_around_a_full_tile_is_that_of_the_standard() {
    let leaves = leaves(258);
    let (mut reader, _) = tiles_of(&leaves, &[]);
    for size in (1..=40).chain([255, 256, 257, 258]) {
        let known = &leaves[..size];
        let of_all = root(known);
        for index in (0..size).step_by(if size > 40 { 17 } else { 1 }) {
            let made = reader.inclusion(index as u64, size as u64).expect("tiles");
            assert_eq!(made, path(index, known), "{index} of {size}");
            let leads = |leaf, index: usize, size: usize| {
                is_included(leaf, index as u64, &made, size as u64, &of_all)
            };
            assert!(leads(&leaves[index], index, size), "{index} of {size}");
            assert!(!leads(&leaves[(index + 1) % 258], index, size));
            assert!(!leads(&leaves[index], index + 1, size), "{index} of {size}");
        }
        for old in (0..=size).step_by(if size > 40 { 17 } else { 1 }) {
            let made = reader.consistency(old as u64, size as u64).expect("tiles");
            let expected = if old == 0 {
                vec![]
            } else {
                subproof(old, known, true)
            };
            assert_eq!(made, expected, "{old} of {size}");
            let old_root = root(&known[..old]);
            let leads = |old: usize, size: usize, proof: &[TreeHash]| {
                is_consistent((old as u64, &old_root), (size as u64, &of_all), proof)
            };
            assert!(leads(old, size, &made), "{old} of {size}");
            let mut longer = made.clone();
            longer.push(old_root);
            assert!(!leads(old, size, &longer), "{old} of {size}");
            if let Some((_, shorter)) = made.split_last() {
                assert!(!leads(old, size, shorter), "{old} of {size}");
            }
            let other = is_consistent((old as u64, &of_all), (size as u64, &of_all), &made);
            assert_eq!(other, old == size, "{old} of {size}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_that_grows_step_by_step_has_the_roots_and_proofs_of_one_made_at_once(
        size in 1_usize..1_400,
        steps in prop::collection::vec(1_usize..600, 0..6),
        at in any::<prop::sample::Index>(),
        until in any::<prop::sample::Index>(),
        flipped in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(size as u64);
        let (mut reader, edge) = tiles_of(&leaves, &steps);
        prop_assert_eq!(edge.root(), root(&leaves));
        let until = until.index(size) + 1;
        let index = at.index(until);
        let of_all = root(&leaves[..until]);
        let mut made = reader.inclusion(index as u64, until as u64).expect("tiles");
        prop_assert_eq!(&made, &path(index, &leaves[..until]));
        let leads = |path: &[TreeHash]| {
            is_included(&leaves[index], index as u64, path, until as u64, &of_all)
        };
        prop_assert!(leads(&made));
        let consistency = reader.consistency(until as u64, size as u64).expect("tiles");
        prop_assert_eq!(consistency, subproof(until, &leaves, true));
        if !made.is_empty() {
            let flipped = flipped.index(made.len());
            made[flipped] = TreeHash::above(&made[flipped], &made[flipped]);
            prop_assert!(!leads(&made));
        }
    }

    #[test]
    fn no_proof_of_any_size_panics(
        sizes in any::<(u64, u64, u64)>(),
        path in prop::collection::vec(0_u64..9, 0..70),
    ) {
        let path: Vec<_> = path.into_iter().map(|it| leaves(it + 1)[it as usize]).collect();
        let one = TreeHash::empty();
        let (index, old, new) = sizes;
        prop_assert!(!is_included(&one, index, &path, old, &one));
        prop_assert_eq!(is_consistent((old, &one), (new, &one), &path), old == new && path.is_empty());
    }
}

/// A hash in hex.
fn hex(text: &str) -> TreeHash {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("it is hex");
    let bytes: Vec<_> = (0..64).step_by(2).map(byte).collect();
    TreeHash::from_slice(&bytes).expect("32 bytes")
}

/// The eight leaves that implementations of Certificate Transparency are tested with, and the roots over the first 1 to 8.
#[test]
fn the_known_vectors_of_certificate_transparency_hold() {
    let texts = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let bytes = |text: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("it is hex");
        (0..text.len()).step_by(2).map(byte).collect()
    };
    let leaves: Vec<_> = texts
        .iter()
        .map(|it| TreeHash::of_leaf(&bytes(it)))
        .collect();
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let (mut reader, _) = tiles_of(&leaves, &[3]);
    for (size, expected) in (1..).zip(roots) {
        assert_eq!(
            reader.root(size).expect("tiles"),
            hex(expected),
            "{size} leaves"
        );
    }
    let of_the_sixth = [
        hex("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
        hex("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
        hex(roots[3]),
    ];
    assert_eq!(reader.inclusion(5, 8).expect("tiles"), of_the_sixth);
    let from_six = [
        hex("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
        hex("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
        hex(roots[3]),
    ];
    assert_eq!(reader.consistency(6, 8).expect("tiles"), from_six);
}

#[test]
fn the_path_of_a_tile_has_groups_of_three_digits() {
    let paths = [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1_000, "x001/000"),
        (1_234_067, "x001/x234/067"),
    ];
    for (index, path) in paths {
        assert_eq!(index_path(index), path);
    }
}
