//! Importing organizations from CSV: what is recorded, what is refused and where, and what a further import does.

use cim_es::prelude::*;
use cim_es::store::{EventStoreExt, Position, StreamExt};
use cim_es_examples::organization::import::{File, Options, Report, run};
use cim_es_examples::organization::program::known::Known;
use cim_es_examples::organization::values::Reason;
use cim_es_examples::organization::{Organization, OrganizationCommand};

const HEADER: &str = "kind,organization,code,name,parent,unit,detail\n";

const ACME: &str = "\
organization,,ACME,Acme Incorporated,,,company
role,ACME,CTO,Chief technology officer,CEO,RND,
unit,ACME,RND,Research,HQ,,
unit,ACME,HQ,Headquarters,,,
team,ACME,COMP,Compilers,,RND,
role,ACME,CEO,Chief executive officer,,HQ,
facility,ACME,HALL,Hall,SITE,,
facility,ACME,SITE,Site,,,Springfield
";

type Organizations = Repository<Organization>;

async fn import_with(organizations: &Organizations, rows: &str, options: Options) -> Report {
    let file = File::read(format!("{HEADER}{rows}").as_bytes()).expect("the columns are named");
    let report = run(organizations, &file, options, |done, all| {
        assert!(done <= all)
    })
    .await;
    report.expect("the store takes it")
}

async fn import(organizations: &Organizations, rows: &str) -> Report {
    import_with(organizations, rows, Options::default()).await
}

fn problems(report: &Report) -> Vec<String> {
    report.problems.iter().map(ToString::to_string).collect()
}

fn counts(report: &Report) -> [usize; 4] {
    [
        report.created,
        report.changed,
        report.unchanged,
        report.left_out,
    ]
}

async fn events(organizations: &Organizations) -> usize {
    organizations
        .store()
        .read_all(Position::START)
        .count()
        .await
}

fn in_memory() -> Organizations {
    Repository::new(MemoryEventStore::new())
}

async fn load(organizations: &Organizations, code: &str) -> Organization {
    let known = Known::new(organizations.clone());
    let id = known.find(code).await.expect("it is there");
    organizations
        .load(&id)
        .await
        .expect("it is read")
        .into_aggregate()
}

#[tokio::test]
async fn an_organization_is_one_commit_whatever_the_order_of_its_rows() {
    let organizations = in_memory();
    let report = import(&organizations, ACME).await;
    assert_eq!((counts(&report), problems(&report)), ([1, 0, 0, 0], vec![]));
    let id = Known::new(organizations.clone())
        .find("ACME")
        .await
        .expect("it is there");
    let history = organizations.history(&id).await.expect("it is read");
    assert_eq!(history.len(), 10);
    let commits: Vec<_> = history.iter().map(|it| it.stored.envelope.commit).collect();
    assert!(commits.iter().all(|commit| commit.of == 10), "{commits:?}");
    let acme = load(&organizations, "ACME").await;
    assert_eq!(acme.state().name(), "Active");
    let cto = acme
        .roles
        .get(&"CTO".parse().expect("a code"))
        .expect("a role");
    assert_eq!(
        cto.reports_to.as_ref().map(ToString::to_string).as_deref(),
        Some("CEO")
    );
}

#[tokio::test]
async fn a_second_import_of_the_same_file_changes_nothing() {
    let organizations = in_memory();
    let rows = format!("{ACME}organization,,SUB,Daughter,ACME,,\n");
    import(&organizations, &rows).await;
    let before = events(&organizations).await;
    let report = import(&organizations, &rows).await;
    assert_eq!((counts(&report), problems(&report)), ([0, 0, 2, 0], vec![]));
    assert!(report.events.is_empty());
    assert_eq!(events(&organizations).await, before);
}

#[tokio::test]
async fn a_changed_file_updates_what_changed_and_nothing_else() {
    let organizations = in_memory();
    import(&organizations, ACME).await;
    let changed = ACME
        .replace("Acme Incorporated,,,company", "Acme Limited,,,cooperative")
        .replace("unit,ACME,RND,Research,HQ", "unit,ACME,RND,Development,")
        .replace(
            "team,ACME,COMP,Compilers,,RND",
            "team,ACME,COMP,Compilers,,HQ",
        )
        .replace(
            "role,ACME,CTO,Chief technology officer,CEO",
            "role,ACME,CTO,Inventor,",
        )
        .replace("SITE,Site,,,Springfield", "SITE,Site,,,Shelbyville")
        + "unit,ACME,OPS,Operations,RND,,\n";
    let report = import(&organizations, &changed).await;
    assert_eq!((counts(&report), problems(&report)), ([0, 1, 0, 0], vec![]));
    let recorded: Vec<_> = report
        .events
        .iter()
        .map(|(event, count)| format!("{} {count}", event.replacen("organization.", "", 1)))
        .collect();
    assert_eq!(
        recorded,
        [
            "facility.updated 1",
            "organization.updated 1",
            "organizational_unit.created 1",
            "organizational_unit.restructured 1",
            "organizational_unit.restructuring_begun 1",
            "organizational_unit.updated 1",
            "role.updated 1",
            "team.updated 1",
        ]
    );
    let report = import(&organizations, &changed).await;
    assert_eq!(counts(&report), [0, 0, 1, 0]);
}

#[tokio::test]
async fn units_can_change_places_with_each_other() {
    let organizations = in_memory();
    let acme = "organization,,ACME,Acme,,,\n";
    import(
        &organizations,
        &format!("{acme}unit,ACME,A,A,,,\nunit,ACME,B,B,A,,\nunit,ACME,C,C,B,,\n"),
    )
    .await;
    let turned = format!("{acme}unit,ACME,A,A,B,,\nunit,ACME,B,B,C,,\nunit,ACME,C,C,,,\n");
    let report = import(&organizations, &turned).await;
    assert_eq!((counts(&report), problems(&report)), ([0, 1, 0, 0], vec![]));
}

#[tokio::test]
async fn a_bad_row_leaves_its_organization_out_and_nothing_half_imported() {
    let organizations = in_memory();
    let rows = format!(
        "{ACME}organization,,BAD,Bad,,,\nunit,BAD,HQ,Headquarters,,,\nteam,BAD,lower,Team,,HQ,\n"
    );
    let report = import(&organizations, &rows).await;
    assert_eq!(counts(&report), [1, 0, 0, 1]);
    assert_eq!(
        problems(&report),
        [
            "line 12: column `code`: \"lower\" is no code: 1 to 32 capital letters, digits and . _ -, the first of them a letter or a digit"
        ]
    );
    assert!(Known::new(organizations.clone()).find("BAD").await.is_err());
    assert_eq!(load(&organizations, "ACME").await.units.iter().count(), 2);
}

#[tokio::test]
async fn with_all_or_nothing_one_bad_row_stops_everything() {
    let organizations = in_memory();
    let options = Options {
        all_or_nothing: true,
    };
    let rows = format!("{ACME}unit,NONE,HQ,Headquarters,,,\n");
    let report = import_with(&organizations, &rows, options).await;
    assert_eq!(counts(&report), [0, 0, 0, 2]);
    assert_eq!(events(&organizations).await, 0);
}

#[tokio::test]
async fn a_row_without_an_organization_stops_everything() {
    for (row, reason) in [
        ("unit,,HQ,Headquarters,,,", "column `organization` is empty"),
        (
            "unit,ACME,HQ,Headquarters",
            "4 columns, where the first line names 7",
        ),
    ] {
        let organizations = in_memory();
        let report = import(&organizations, &format!("{ACME}{row}\n")).await;
        assert_eq!(counts(&report), [0, 0, 0, 1], "{row}");
        assert_eq!(problems(&report), [format!("line 10: {reason}")]);
        assert_eq!(events(&organizations).await, 0);
    }
}

#[tokio::test]
async fn every_bad_row_is_reported_by_line_and_reason() {
    for (row, reason) in [
        (
            "thing,ACME,X,Thing,,,",
            "\"thing\" is no kind: organization, unit, team, role or facility",
        ),
        ("unit,ACME,,Unit,,,", "column `code` is empty"),
        ("unit,ACME,X,,,,", "column `name` is empty"),
        (
            "unit,ACME,X,Unit,hq,,",
            "column `parent`: \"hq\" is no code: 1 to 32 capital letters, digits and . _ -, the first of them a letter or a digit",
        ),
        (
            "unit,ACME,X,Unit,,HQ,",
            "column `unit` is not empty, and a row of kind unit has none",
        ),
        (
            "team,ACME,X,Team,,,green",
            "column `detail` is not empty, and a row of kind team has none",
        ),
        (
            "unit,ACME,HQ,Headquarters,,,",
            "unit HQ is in line 5 already",
        ),
        (
            "unit,ACME,X,Unit,NONE,,",
            "there is no unit NONE: create it first",
        ),
        (
            "unit,ACME,X,Unit,X,,",
            "unit X cannot stand there: what is above it is below it too",
        ),
        (
            "team,ACME,X,Team,,NONE,",
            "there is no unit NONE: create it first",
        ),
        (
            "role,ACME,X,Role,NONE,,",
            "there is no role NONE: create it first",
        ),
        (
            "facility,ACME,X,Place,NONE,,",
            "there is no facility NONE: create it first",
        ),
        (
            "organization,SUB,ACME,Acme,,,",
            "column `organization` names another organization: leave it empty",
        ),
    ] {
        let organizations = in_memory();
        let report = import(&organizations, &format!("{ACME}{row}\n")).await;
        assert_eq!(problems(&report), [format!("line 10: {reason}")], "{row}");
        assert_eq!(events(&organizations).await, 0, "{row}");
    }
}

#[tokio::test]
async fn a_circle_is_reported_for_each_row_in_it() {
    let organizations = in_memory();
    let rows =
        "organization,,ACME,Acme,,,\nunit,ACME,A,A,B,,\nunit,ACME,B,B,A,,\nunit,ACME,C,C,A,,\n";
    let report = import(&organizations, rows).await;
    assert_eq!(
        problems(&report),
        [
            "line 3: unit A cannot stand there: what is above it is below it too",
            "line 4: unit B cannot stand there: what is above it is below it too",
        ]
    );
    let rows = "organization,,ONE,One,TWO,,\norganization,,TWO,Two,ONE,,\n";
    let report = import(&organizations, rows).await;
    assert_eq!(counts(&report), [0, 0, 0, 2]);
    assert_eq!(report.problems.len(), 2);
    assert_eq!(events(&organizations).await, 0);
}

#[tokio::test]
async fn an_organization_whose_parent_is_left_out_is_left_out_too() {
    let organizations = in_memory();
    let rows = "organization,,SUB,Daughter,TOP,,\norganization,,TOP,,,,\n";
    let report = import(&organizations, rows).await;
    assert_eq!(
        problems(&report),
        [
            "line 2: its parent TOP is neither known nor imported",
            "line 3: column `name` is empty"
        ]
    );
    assert_eq!(events(&organizations).await, 0);
}

#[tokio::test]
async fn an_organization_moves_from_one_parent_to_another() {
    let organizations = in_memory();
    let tops = "organization,,ONE,One,,,\norganization,,TWO,Two,,,\n";
    import(
        &organizations,
        &format!("{tops}organization,,SUB,Daughter,ONE,,\n"),
    )
    .await;
    assert_eq!(load(&organizations, "ONE").await.children.len(), 1);
    let report = import(
        &organizations,
        &format!("{tops}organization,,SUB,Daughter,TWO,,\n"),
    )
    .await;
    assert_eq!(problems(&report), [""; 0]);
    assert_eq!(load(&organizations, "ONE").await.children.len(), 0);
    assert_eq!(load(&organizations, "TWO").await.children.len(), 1);
    import(
        &organizations,
        &format!("{tops}organization,,SUB,Daughter,,,\n"),
    )
    .await;
    assert_eq!(load(&organizations, "TWO").await.children.len(), 0);
}

#[tokio::test]
async fn a_parent_and_its_child_can_change_places() {
    let organizations = in_memory();
    let rows = "organization,,ONE,One,,,\norganization,,TWO,Two,ONE,,\n";
    import(&organizations, rows).await;
    let turned = "organization,,ONE,One,TWO,,\norganization,,TWO,Two,,,\n";
    let report = import(&organizations, turned).await;
    assert_eq!(problems(&report), [""; 0]);
    assert_eq!(load(&organizations, "ONE").await.children.len(), 0);
    assert_eq!(load(&organizations, "TWO").await.children.len(), 1);
}

#[tokio::test]
async fn rows_can_be_added_to_an_organization_that_is_known() {
    let organizations = in_memory();
    import(&organizations, ACME).await;
    let report = import(&organizations, "unit,ACME,LAB,Laboratory,RND,,\n").await;
    assert_eq!((counts(&report), problems(&report)), ([0, 1, 0, 0], vec![]));
}

#[tokio::test]
async fn an_organization_that_is_suspended_is_left_as_it_is() {
    let organizations = in_memory();
    import(&organizations, ACME).await;
    let id = Known::new(organizations.clone())
        .find("ACME")
        .await
        .expect("it is there");
    let reason: Reason = "an inquiry".parse().expect("a reason");
    let identity = MessageIdentity::new_from_user("test");
    let suspend = OrganizationCommand::Suspend { reason };
    organizations
        .execute(&id, suspend, &identity)
        .await
        .expect("it is active");
    let report = import(&organizations, "unit,ACME,LAB,Laboratory,,,\n").await;
    assert_eq!(
        problems(&report),
        [
            "line 2: `CreateUnit` is not accepted in state `Suspended`, which accepts `Reinstate`, `Dissolve`"
        ]
    );
    assert_eq!(counts(&import(&organizations, ACME).await), [0, 0, 1, 0]);
}

#[test]
fn a_file_without_its_columns_is_refused_with_what_it_needs() {
    let refused = |text: &str| {
        File::read(text.as_bytes())
            .expect_err("it is refused")
            .to_string()
    };
    assert_eq!(
        refused("kind,organization,name,parent,unit,detail\n"),
        "there is no column `code`: the first line names the columns kind,organization,code,name,parent,unit,detail"
    );
    assert_eq!(
        refused("kind;organization;code;name\n"),
        "there is no column `parent`: the first line names the columns kind,organization,code,name,parent,unit,detail"
    );
}

#[test]
fn a_file_may_have_remarks_other_orders_of_columns_and_text_in_quotes() {
    let text = "\u{feff}code,name,kind,organization,parent,unit,detail\r\n# a remark, with a comma\r\n\r\n\
        #\r\nA,\"One,\ntwo\" , organization ,,,,\r\n#\nB,B,organization,,,,";
    let file = File::read(text.as_bytes()).expect("the columns are named");
    assert_eq!(file.problems.len(), 1);
    assert_eq!(
        file.problems[0].to_string(),
        "line 5: column `name`: \"One,\\ntwo\" is no label: 1 to 128 bytes in one line, without spaces around it"
    );
    assert_eq!(
        (file.rows[0].line, file.rows[0].name.to_string()),
        (8, "B".to_owned())
    );
    let read = |rows: &[u8]| {
        let text = [HEADER.as_bytes(), rows].concat();
        File::read(text.as_slice()).expect("the columns are named")
    };
    let file = read(b" organization ,, A ,\"One, two\",,,\n");
    assert_eq!(
        (file.rows[0].line, file.rows[0].name.to_string()),
        (2, "One, two".to_owned())
    );
    let file = read(b"unit,A,B,\xff,,,\nunit,A,B,C,,,\n");
    assert_eq!((file.rows.len(), file.problems.len()), (1, 1));
    assert_eq!(
        file.problems[0].to_string(),
        "line 2: it is not text in UTF-8: save the file as UTF-8"
    );
    assert_eq!(file.problems[0].organization, None);
}

#[tokio::test]
async fn what_a_spreadsheet_writes_is_read() {
    let commas = format!("{HEADER}{ACME}");
    let expected = File::read(commas.as_bytes()).expect("the columns are named");
    for (delimiter, end) in [(',', "\r\n"), (';', "\r\n"), ('\t', "\n")] {
        // Two further columns and two further rows without anything in them, as an empty part of a sheet gives.
        let lines = commas.lines().map(|line| format!("{line},,"));
        let blank = [",,,,,,,,".to_owned(), ",,,,,,,,".to_owned()];
        let text: Vec<_> = lines.chain(blank).collect();
        let text = text.join(end).replace(',', &delimiter.to_string());
        let file = File::read(format!("\u{feff}{text}{end}").as_bytes());
        let file = file.expect("the columns are named");
        assert_eq!(file.problems, [], "{delimiter:?}");
        assert_eq!(file.rows, expected.rows, "{delimiter:?}");
    }
    let file = File::read(
        format!("{HEADER}unit,A,B,C,,,,lost\n")
            .replace("detail\n", "detail,\n")
            .as_bytes(),
    );
    assert_eq!(
        file.expect("the columns are named").problems[0].to_string(),
        "line 2: column 8 has no name and is not empty: name it, or empty it"
    );
}

#[tokio::test]
async fn a_display_name_of_its_own_is_kept() {
    let organizations = in_memory();
    import(&organizations, ACME).await;
    let known = Known::new(organizations.clone());
    let id = known.find("ACME").await.expect("it is there");
    let identity = MessageIdentity::new_from_user("test");
    let update = OrganizationCommand::Update {
        name: "Acme Incorporated".parse().expect("a name"),
        display_name: "Acme!".parse().expect("a name"),
        organization_type: "company".parse().expect("a type"),
    };
    let updated = organizations.execute(&id, update, &identity).await;
    updated.expect("it is active");
    assert_eq!(counts(&import(&organizations, ACME).await), [0, 0, 1, 0]);
    import(
        &organizations,
        &ACME.replace("Acme Incorporated", "Acme Limited"),
    )
    .await;
    let acme = load(&organizations, "ACME").await;
    let names = [acme.name, acme.display_name].map(|it| it.map(|it| it.to_string()));
    assert_eq!(
        names,
        ["Acme Limited", "Acme!"].map(|it| Some(it.to_owned()))
    );
}

#[tokio::test]
async fn a_unit_whose_place_is_open_gets_the_one_that_its_row_says() {
    let organizations = in_memory();
    import(&organizations, ACME).await;
    let known = Known::new(organizations.clone());
    let id = known.find("ACME").await.expect("it is there");
    let identity = MessageIdentity::new_from_user("test");
    let begin = OrganizationCommand::BeginRestructuring {
        unit: "RND".parse().expect("a code"),
        reason: "a new place".parse().expect("a reason"),
    };
    let begun = organizations.execute(&id, begin, &identity).await;
    begun.expect("it is active");
    let moved = ACME.replace("unit,ACME,RND,Research,HQ", "unit,ACME,RND,Research,");
    let report = import(&organizations, &moved).await;
    assert_eq!((counts(&report), problems(&report)), ([0, 1, 0, 0], vec![]));
    let acme = load(&organizations, "ACME").await;
    let unit = acme.units.get(&"RND".parse().expect("a code"));
    let unit = unit.expect("it is there");
    assert_eq!((unit.state.name(), &unit.parent), ("Active", &None));
}

#[tokio::test]
async fn a_row_of_a_part_that_has_ended_is_reported_whether_it_says_something_new_or_not() {
    let organizations = in_memory();
    import(&organizations, ACME).await;
    let known = Known::new(organizations.clone());
    let id = known.find("ACME").await.expect("it is there");
    let identity = MessageIdentity::new_from_user("test");
    let disband = OrganizationCommand::DisbandTeam {
        team: "COMP".parse().expect("a code"),
        reason: "done".parse().expect("a reason"),
    };
    let disbanded = organizations.execute(&id, disband, &identity).await;
    disbanded.expect("it is active");
    for rows in [ACME.to_owned(), ACME.replace("Compilers", "Linkers")] {
        let report = import(&organizations, &rows).await;
        assert_eq!(
            problems(&report),
            ["line 6: team COMP has ended, and is not begun again: leave it out"]
        );
        assert_eq!((report.left_out, report.events.len()), (1, 0));
    }
}

#[tokio::test]
async fn an_organization_that_cannot_go_where_its_row_says_is_left_out_whole() {
    let organizations = in_memory();
    let rows = "organization,,ONE,One,,,\norganization,,TWO,Two,,,\norganization,,SUB,Sub,ONE,,\n";
    import(&organizations, rows).await;
    let known = Known::new(organizations.clone());
    let two = known.find("TWO").await.expect("it is there");
    let reason: Reason = "an inquiry".parse().expect("a reason");
    let suspend = OrganizationCommand::Suspend { reason };
    let identity = MessageIdentity::new_from_user("test");
    let suspended = organizations.execute(&two, suspend, &identity).await;
    suspended.expect("it is active");
    let before = events(&organizations).await;
    for (row, reason) in [
        (
            "organization,,SUB,Renamed,TWO,,\n",
            "line 2: TWO is Suspended, and its children stay as they are until it is active",
        ),
        (
            "organization,,NEW,New,TWO,,\n",
            "line 2: TWO is Suspended, and its children stay as they are until it is active",
        ),
        (
            "organization,,ONE,One,SUB,,\n",
            "line 2: its parent SUB stands below it: say in a row of its own where that one goes",
        ),
    ] {
        let report = import(&organizations, row).await;
        assert_eq!(problems(&report), [reason]);
        assert_eq!(counts(&report), [0, 0, 0, 1], "{row}");
        assert_eq!(events(&organizations).await, before, "{row}");
    }
    assert_eq!(load(&organizations, "ONE").await.children.len(), 1);
}

#[tokio::test]
async fn an_organization_too_large_for_one_commit_is_active_with_the_last_one() {
    let organizations = in_memory();
    let units: String = (0..2_000)
        .map(|it| format!("unit,HUGE,U{it},Unit {it},,,\n"))
        .collect();
    let rows = format!("organization,,HUGE,Huge,,,\n{units}");
    let report = import(&organizations, &rows).await;
    assert_eq!((counts(&report), problems(&report)), ([1, 0, 0, 0], vec![]));
    let id = Known::new(organizations.clone())
        .find("HUGE")
        .await
        .expect("it is there");
    let version = organizations.load(&id).await.expect("it is read").version();
    assert_eq!(version, 2_002);
    let before = organizations
        .load_at(&id, version - 1)
        .await
        .expect("it is read");
    assert_eq!(before.state().name(), "Pending");
    let commit = organizations.history(&id).await.expect("it is read")[2_001]
        .stored
        .envelope
        .commit;
    assert_eq!(commit, [202; 4].into());

    // As if the import had ended after its first commit.
    let again = in_memory();
    let id = Id::new();
    let create = OrganizationCommand::Create {
        id,
        code: "HUGE".parse().expect("a code"),
        name: "Huge".parse().expect("a name"),
        display_name: "Huge".parse().expect("a name"),
        organization_type: "other".parse().expect("a type"),
        parent: None,
    };
    let identity = MessageIdentity::new_from_user("test");
    again
        .execute(&id, create, &identity)
        .await
        .expect("it is new");
    let report = import(&again, &rows).await;
    assert_eq!((counts(&report), problems(&report)), ([0, 1, 0, 0], vec![]));
    let huge = load(&again, "HUGE").await;
    assert_eq!(
        (huge.units.iter().count(), huge.state().name()),
        (2_000, "Active")
    );
}

#[tokio::test]
async fn thousands_of_rows_are_imported_and_then_found_unchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteEventStore::open(directory.path().join("events.db")).expect("a file");
    let organizations = Repository::<Organization>::new(store);
    let mut rows = String::new();
    for number in 0..50 {
        rows += &format!("organization,,O{number},Organization {number},,,\n");
        for unit in 0..60 {
            let parent = if unit == 0 {
                String::new()
            } else {
                format!("U{}", unit / 3)
            };
            let parent = if parent == format!("U{unit}") {
                "U0".to_owned()
            } else {
                parent
            };
            rows += &format!("unit,O{number},U{unit},Unit {unit},{parent},,\n");
            rows += &format!("role,O{number},R{unit},Role {unit},,U{unit},\n");
        }
    }
    let report = import(&organizations, &rows).await;
    assert_eq!(
        (counts(&report), problems(&report)),
        ([50, 0, 0, 0], vec![])
    );
    let report = import(&organizations, &rows).await;
    assert_eq!(
        (counts(&report), problems(&report)),
        ([0, 0, 50, 0], vec![])
    );
}
