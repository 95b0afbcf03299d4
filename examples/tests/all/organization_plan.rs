//! Whatever a file says, an organization becomes it or stays as it was; over generated files.

use std::collections::BTreeMap;

use crate::organization_support::*;
use cim_es::prelude::*;
use cim_es::repository::rehearse;
use cim_es::testing::proptest::collection::vec;
use cim_es::testing::proptest::option::of;
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::proptest::sample::Index;
use cim_es_examples::organization::Organization;
use cim_es_examples::organization::import::plan::plan;
use cim_es_examples::organization::import::{File, Problem, Row, What};
use cim_es_examples::organization::values::{Code, OrganizationType};

/// What stands under what, each by its number.
type Tree = BTreeMap<u8, Option<u8>>;

/// A tree of some of eight places, in one of ten cases with a place under any of them, which may be itself or missing.
fn tree() -> impl Strategy<Value = Tree> {
    let places: Vec<u8> = (0..8).collect();
    let above = vec(of(any::<Index>()), 8);
    let stray = prop_oneof![9 => Just(None), 1 => (0..8_u8, 0..8_u8).prop_map(Some)];
    (
        Just(places).prop_shuffle(),
        above,
        prop_oneof![1 => 0..8_usize, 2 => Just(8)],
        stray,
    )
        .prop_map(|(places, above, size, stray)| {
            let under = |(place, number): (usize, &u8)| {
                let above = above[place].filter(|_| place > 0);
                (*number, above.map(|it| places[it.index(place)]))
            };
            let tree = places[..size].iter().enumerate().map(under);
            let stray = stray.map(|(number, above)| (number, Some(above)));
            tree.chain(stray).collect()
        })
}

/// Some places of a tree, which may stand under those that are left out.
fn part() -> impl Strategy<Value = Tree> {
    let kept = vec(any::<bool>(), 8);
    (tree(), kept).prop_map(|(mut tree, kept)| {
        tree.retain(|number, _| kept[usize::from(*number)]);
        tree
    })
}

fn code(number: u8) -> Code {
    text(&format!("P{number}"))
}

/// A file of one organization, with a unit, a role and a facility at each place of a tree.
fn rows(units: &Tree, roles: &Tree, name: &str) -> Vec<Row> {
    let row = |code: Code, what: What| Row {
        line: 0,
        organization: text("ACME"),
        code,
        name: text(name),
        what,
    };
    let organization = row(
        text("ACME"),
        What::Organization {
            parent: None,
            organization_type: OrganizationType::Other,
        },
    );
    let of_units = units.iter().flat_map(|(number, above)| {
        let parent = above.map(code);
        let within = parent.clone();
        [
            row(code(*number), What::Unit { parent }),
            row(
                code(*number),
                What::Facility {
                    within,
                    location: None,
                },
            ),
        ]
    });
    let of_roles = roles.iter().map(|(number, above)| {
        let unit = units.contains_key(number).then(|| code(*number));
        let reports_to = above.map(code);
        row(code(*number), What::Role { unit, reports_to })
    });
    let rows = of_units.chain(of_roles).chain([organization]);
    rows.enumerate()
        .map(|(place, row)| Row {
            line: place as u64 + 2,
            ..row
        })
        .collect()
}

/// Whether each place stands under one of the tree or of what was there before, and none above itself.
fn is_possible(tree: &Tree, before: &Tree) -> bool {
    let whole: Tree = before.iter().chain(tree).map(|(k, v)| (*k, *v)).collect();
    whole.keys().all(|start| {
        let mut above = whole[start];
        for _ in 0..=whole.len() {
            match above {
                None => return true,
                Some(it) if !whole.contains_key(&it) => return false,
                Some(it) => above = whole[&it],
            }
        }
        false
    })
}

/// Follows a file, as an import does.
fn follow(present: &Organization, rows: &[Row]) -> Result<Organization, Vec<Problem>> {
    let context = Context::new(
        MessageIdentity::root(Uuid::from_u128(1), None),
        Timestamp::from_micros(1),
    );
    let steps = plan(present, id(1), None, rows)?;
    let mut after = present.clone();
    for step in steps {
        rehearse(&mut after, step.command, &context).expect("the plan was rehearsed");
    }
    Ok(after)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_organization_becomes_what_a_file_says_wherever_it_comes_from(
        first in (tree(), tree()),
        second in (part(), part()),
        name in "[A-C]",
    ) {
        let none = Tree::new();
        let is_first_possible = is_possible(&first.0, &none) && is_possible(&first.1, &none);
        let founded = follow(&Organization::default(), &rows(&first.0, &first.1, "A"));
        prop_assert_eq!(founded.is_ok(), is_first_possible);
        let Ok(before) = founded else {
            return Ok(());
        };

        let is_second_possible =
            is_possible(&second.0, &first.0) && is_possible(&second.1, &first.1);
        let changed = rows(&second.0, &second.1, &name);
        let followed = follow(&before, &changed);
        prop_assert_eq!(followed.is_ok(), is_second_possible, "{:?}", followed);
        let Ok(after) = followed else {
            return Ok(());
        };
        prop_assert_eq!(after.state().name(), "Active");
        for (number, above) in &second.0 {
            let unit = after.units.get(&code(*number)).expect("it is there");
            prop_assert_eq!(&unit.parent, &above.map(code));
            prop_assert_eq!(unit.name.to_string(), name.clone());
            let facility = after.facilities.get(&code(*number)).expect("it is there");
            prop_assert_eq!(&facility.within, &above.map(code));
        }
        for (number, above) in &second.1 {
            let role = after.roles.get(&code(*number)).expect("it is there");
            prop_assert_eq!(&role.reports_to, &above.map(code));
        }
        // What the file does not mention stays as it was.
        for (number, above) in first.0.iter().filter(|(it, _)| !second.0.contains_key(it)) {
            let unit = after.units.get(&code(*number)).expect("it is there");
            prop_assert_eq!(&unit.parent, &above.map(code));
        }
        prop_assert!(plan(&after, id(1), None, &changed).is_ok_and(|steps| steps.is_empty()));
    }

    #[test]
    fn any_rows_are_read_or_reported_with_a_line_of_the_file(
        rows in vec("(unit|organization|#|\"|\n|\r\n|,|A|a|é){0,12}", 0..6),
        noise in vec(any::<u8>(), 0..4),
    ) {
        let header = "kind,organization,code,name,parent,unit,detail\n";
        let text = [header.as_bytes(), rows.join("\n").as_bytes(), &noise].concat();
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let file = File::read(text.as_slice()).expect("the columns are named");
        let numbers = file.rows.iter().map(|it| it.line);
        for line in numbers.chain(file.problems.iter().map(|it| it.line)) {
            prop_assert!((2..=lines).contains(&line), "line {} of {:?}", line, text);
        }
    }
}
