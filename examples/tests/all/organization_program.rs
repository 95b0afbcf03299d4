//! What the program shows: charts of organizations as they are and as they were, and what changed in between.

use std::path::Path;
use std::process::Command;

use cim_es::message::FixedClock;
use cim_es::prelude::*;
use cim_es_examples::organization::dissolution::dissolve;
use cim_es_examples::organization::import::{File, Options, run};
use cim_es_examples::organization::merger::merge;
use cim_es_examples::organization::program;
use cim_es_examples::organization::program::args::Args;
use cim_es_examples::organization::program::chart::charts;
use cim_es_examples::organization::program::difference::differences;
use cim_es_examples::organization::program::known::Known;
use cim_es_examples::organization::program::moment::Moment;
use cim_es_examples::organization::values::{MergerType, NaiveDate};
use cim_es_examples::organization::{Organization, OrganizationCommand};
use clap::Parser;

const JANUARY: &str = "\
kind,organization,code,name,parent,unit,detail
organization,,ACME,Acme,,,company
unit,ACME,HQ,Headquarters,,,
unit,ACME,RND,Research,HQ,,
team,ACME,COMP,Compilers,,RND,
role,ACME,CEO,Chief,,HQ,
role,ACME,CTO,Inventor,CEO,RND,
facility,ACME,SITE,Site,,,Springfield
facility,ACME,HALL,Hall,SITE,,
";

const FEBRUARY: &str = "\
kind,organization,code,name,parent,unit,detail
organization,,SUB,Daughter,ACME,,school
unit,ACME,RND,Development,,,
team,ACME,COMP,Compilers,,HQ,
role,ACME,AIDE,Assistant,CEO,,
";

fn at(time: &str) -> Timestamp {
    time.parse::<Moment>().expect("a moment").0
}

/// A store into which the two files were imported, each in its month.
async fn store() -> MemoryEventStore {
    let store = MemoryEventStore::new();
    for (rows, time) in [
        (JANUARY, "2026-01-15T12:00:00Z"),
        (FEBRUARY, "2026-02-15T12:00:00Z"),
    ] {
        let organizations = Repository::<Organization>::builder(store.clone());
        let organizations = organizations.clock(FixedClock(at(time))).build();
        let file = File::read(rows.as_bytes()).expect("the columns are named");
        let report = run(&organizations, &file, Options::default(), |_, _| {}).await;
        assert_eq!(report.expect("the store takes it").problems, []);
    }
    store
}

#[tokio::test]
async fn a_chart_shows_an_organization_as_it_was() {
    let known = Known::new(Repository::new(store().await));
    let acme = known.find("ACME").await.expect("it is there");
    let chart = async |time| {
        let all = known.chosen(Some(acme), Some(at(time))).await;
        charts(&all.expect("it is read"), Some(acme))
    };
    let january = "\
ACME Acme (company, active)
├── unit HQ Headquarters
│   ├── role CEO Chief
│   └── unit RND Research
│       ├── role CTO Inventor, reports to CEO
│       └── team COMP Compilers
└── facility SITE Site, Springfield
    └── facility HALL Hall
";
    let february = "\
ACME Acme (company, active)
├── role AIDE Assistant, reports to CEO
├── unit HQ Headquarters
│   ├── role CEO Chief
│   └── team COMP Compilers
├── unit RND Development
│   └── role CTO Inventor, reports to CEO
└── facility SITE Site, Springfield
    └── facility HALL Hall
";
    assert_eq!(chart("2026-01-31").await, january);
    assert_eq!(chart("2026-02-15T11:59:59.999999Z").await, january);
    let all = known
        .chosen(None, Some(at("2026-02-28")))
        .await
        .expect("it is read");
    let [sub] = all
        .values()
        .filter(|it| it.units.iter().count() == 0)
        .collect::<Vec<_>>()[..]
    else {
        panic!("{all:?}");
    };
    let below = format!(
        "└── SUB Daughter (school, {})\n",
        sub.state().name().to_lowercase()
    );
    let february = february.replace("└── facility SITE", "├── facility SITE");
    let february = february.replace("    └── facility HALL", "│   └── facility HALL") + &below;
    assert_eq!(charts(&all, None), february);
    assert_eq!(chart("2026-02-28").await, february);
    let none = known
        .chosen(None, Some(at("2026-01-14")))
        .await
        .expect("it is read");
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_difference_names_what_came_what_went_and_what_changed() {
    let organizations = Repository::<Organization>::new(store().await);
    let known = Known::new(organizations.clone());
    let (acme, sub) = (
        known.find("ACME").await.expect("it is there"),
        known.find("SUB").await.expect("it is there"),
    );
    let moment = async |time| {
        known
            .chosen(None, Some(at(time)))
            .await
            .expect("it is read")
    };
    let (none, january, february) = (
        moment("2026-01-01").await,
        moment("2026-01-31").await,
        moment("2026-02-28").await,
    );
    let expected = format!(
        "\
ACME {acme}
  + child {sub}: code SUB
  + role AIDE: reports to CEO, state active, title Assistant
  ~ team COMP: unit RND → HQ
  ~ unit RND: name Research → Development, under HQ → none
SUB {sub}
  + organization: display name Daughter, name Daughter, state active, type school
"
    );
    assert_eq!(differences(&january, &february), expected);
    assert_eq!(differences(&january, &january), "");
    let back = differences(&february, &january);
    assert!(back.contains("\n  - role AIDE: "), "{back}");
    let first = differences(&none, &january);
    assert!(
        first.contains("\n  + facility HALL: name Hall, state open, within SITE\n"),
        "{first}"
    );
}

#[tokio::test]
async fn an_organization_that_moves_away_is_not_told_as_gone() {
    let organizations = Repository::<Organization>::new(store().await);
    let known = Known::new(organizations.clone());
    let acme = known.find("ACME").await.expect("it is there");
    let sub = known.find("SUB").await.expect("it is there");
    let free =
        "kind,organization,code,name,parent,unit,detail\norganization,,SUB,Daughter,,,school\n";
    let march = Repository::<Organization>::builder(organizations.store().clone());
    let march = march.clock(FixedClock(at("2026-03-15"))).build();
    let file = File::read(free.as_bytes()).expect("the columns are named");
    let report = run(&march, &file, Options::default(), |_, _| {}).await;
    assert_eq!(report.expect("the store takes it").problems, []);

    let (from, to) = (at("2026-02-28"), at("2026-03-31"));
    let both = known.chosen_at_both(Some(acme), from, to).await;
    let (before, after) = both.expect("it is read");
    assert_eq!(
        differences(&before, &after),
        format!("ACME {acme}\n  - child {sub}: code SUB\n")
    );
    let both = known.chosen_at_both(Some(acme), to, from).await;
    let (before, after) = both.expect("it is read");
    assert_eq!(
        differences(&before, &after),
        format!("ACME {acme}\n  + child {sub}: code SUB\n")
    );
}

#[tokio::test]
async fn an_organization_is_found_by_its_id_and_by_its_code() {
    let known = Known::new(Repository::new(store().await));
    let id = known.find("ACME").await.expect("it is there");
    assert_eq!(known.find(&id.to_string()).await.expect("it is there"), id);
    for (name, message) in [
        (
            "NONE",
            "no organization has the id or the code NONE: show lists those that there are",
        ),
        ("acme", "acme is no id and no code of an organization"),
        (
            "01970000-0000-7000-8000-000000000001",
            "no organization has the id or the code 01970000-0000-7000-8000-000000000001: show lists those that there are",
        ),
    ] {
        let error = known.find(name).await.expect_err("it is not there");
        assert_eq!(error.to_string(), message);
    }
}

/// What the program says, without starting it.
async fn said(store: &Path, args: &[&str]) -> Result<String, String> {
    let program = ["organization", "--store", store.to_str().expect("a path")];
    let args = Args::try_parse_from(program.iter().chain(args)).map_err(|it| it.to_string())?;
    let outcome = program::run(&args).await.map_err(|it| it.to_string())?;
    Ok(outcome.problems.join("\n") + &outcome.text)
}

#[tokio::test]
async fn the_program_imports_its_example_and_shows_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("a/further/one/organization.db");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = root.join("organization/example.csv");
    let import = ["import", example.to_str().expect("a path")];

    let early = said(&store, &["show"]).await.expect_err("nothing is there");
    assert!(early.starts_with("there is no store in "), "{early}");
    let first = said(&store, &import).await.expect("it is imported");
    assert!(first.starts_with("Organizations: 3 new, 0 changed, 0 as they were, 0 left out.\n"));
    assert_eq!(
        said(&store, &import).await.as_deref(),
        Ok("Organizations: 0 new, 0 changed, 3 as they were, 0 left out.\nNo event recorded.\n")
    );

    let page = std::fs::read_to_string(root.join("organization/README.md")).expect("the page");
    let shown = page
        .split("```text\n")
        .nth(1)
        .and_then(|it| it.split("…\n").next());
    let chart = said(&store, &["show", "ACME"]).await.expect("it is there");
    assert!(
        chart.starts_with(shown.expect("the chart on the page")),
        "{chart}"
    );
    let history = said(&store, &["history", "RELIEF"])
        .await
        .expect("it is there");
    assert!(
        history.contains(" organizational_unit.created ┆ unit OFFICE, name Office "),
        "{history}"
    );
    let nothing = said(&store, &["diff", "2026-01-01", "2026-01-02"]).await;
    assert!(nothing.is_ok_and(|it| it.starts_with("Nothing changed between 2026-01-01T")));
    let turned = said(&store, &["diff", "2026-01-02", "2026-01-01"]).await;
    assert_eq!(
        turned,
        Err("the second moment is before the first: give the earlier one first".to_owned())
    );
    let none = said(&store, &["at", "2026-01-01"]).await;
    assert!(none.is_ok_and(|it| it.starts_with("There was no organization at 2026-01-01T")));
    let merge = [
        "merge",
        "ACME-LABS",
        "RELIEF",
        "--merger",
        "acquisition",
        "--effective",
    ];
    let merged = said(&store, &[&merge[..], &["2026-07-01"]].concat()).await;
    assert_eq!(merged, Ok("Events recorded: 2\n".to_owned()));
    let dissolve = [
        "dissolve",
        "RELIEF",
        "--reason",
        "its work is done",
        "--effective",
        "2026-12-31",
    ];
    let dissolved = said(&store, &dissolve).await;
    assert_eq!(dissolved, Ok("Events recorded: 4\n".to_owned()));
    let ended = said(&store, &["show", "RELIEF"]).await;
    assert_eq!(
        ended,
        Ok("RELIEF Relief for Roadrunners (nonprofit, dissolved)\n".to_owned())
    );
    let unclear = said(&store, &["at", "yesterday"])
        .await
        .expect_err("it is no moment");
    assert!(unclear.contains("\"yesterday\" is no moment"), "{unclear}");
}

#[tokio::test]
async fn a_merger_is_one_conversation_and_leaves_the_survivor_as_it_was() {
    let organizations = Repository::<Organization>::new(store().await);
    let known = Known::new(organizations.clone());
    let (acme, sub) = (
        known.find("ACME").await.expect("it is there"),
        known.find("SUB").await.expect("it is there"),
    );
    let day = NaiveDate::from_ymd_opt(2026, 3, 1).expect("a date");
    let how = (MergerType::Consolidation, day);
    let before = organizations.load(&acme).await.expect("it is read");
    let identity = MessageIdentity::new_from_user("test");
    let merged = merge(&organizations, sub, acme, how, &identity).await;
    assert_eq!(merged.expect("both are active"), 2);

    let after = organizations.load(&acme).await.expect("it is read");
    assert_eq!(after.state(), before.state());
    assert!(after.absorbed.contains(&sub));
    let ended = organizations.load(&sub).await.expect("it is read");
    assert_eq!(
        (ended.state().name(), ended.merged_into),
        ("Merged", Some(acme))
    );
    let last = async |id| {
        let history = organizations.history(&id).await.expect("it is read");
        history.last().expect("an event").stored.envelope.clone()
    };
    let (absorbed, merged) = (last(acme).await, last(sub).await);
    assert_eq!(absorbed.correlation_id, merged.correlation_id);
    assert_ne!(absorbed.causation_id, merged.causation_id);

    let identity = MessageIdentity::new_from_user("test");
    let again = merge(&organizations, sub, acme, how, &identity);
    assert_eq!(
        again.await.expect_err("it ended").to_string(),
        "the organization that would end is Merged, and merges only while Active or Inactive"
    );
    let all = known.chosen(None, None).await.expect("it is read");
    let charts = charts(&all, None);
    assert!(!charts.contains("SUB"), "{charts}");
    assert!(charts.starts_with("ACME"), "{charts}");
}

#[tokio::test]
async fn an_organization_of_any_size_can_be_dissolved() {
    let organizations = Repository::<Organization>::new(MemoryEventStore::new());
    let mut rows =
        "kind,organization,code,name,parent,unit,detail\norganization,,HUGE,Huge,,,\n".to_owned();
    for number in 0..400 {
        let (above, child) = (number / 2, number < 350);
        let parent = if number == 0 {
            String::new()
        } else {
            format!("U{above}")
        };
        rows += &format!("unit,HUGE,U{number},Unit,{parent},,\n");
        rows += &format!("team,HUGE,T{number},Team,,U{number},\n");
        rows += &format!(
            "role,HUGE,R{number},Role,{},U{number},\n",
            parent.replace('U', "R")
        );
        rows += &format!(
            "facility,HUGE,F{number},Place,{},,\n",
            parent.replace('U', "F")
        );
        if child {
            rows += &format!("organization,,C{number},Child,HUGE,,\n");
        }
    }
    let file = File::read(rows.as_bytes()).expect("the columns are named");
    let report = run(&organizations, &file, Options::default(), |_, _| {}).await;
    assert_eq!(report.expect("the store takes it").problems, []);
    let huge = Known::new(organizations.clone())
        .find("HUGE")
        .await
        .expect("it is there");
    let identity = || MessageIdentity::new_from_user("test");
    let begin = OrganizationCommand::BeginRestructuring {
        unit: "U7".parse().expect("a code"),
        reason: "a new place".parse().expect("a reason"),
    };
    let begun = organizations.execute(&huge, begin, &identity()).await;
    begun.expect("it is active");

    let day = NaiveDate::from_ymd_opt(2026, 3, 1).expect("a date");
    let how = ("sold".parse().expect("a reason"), day);
    let events = dissolve(&organizations, huge, how, &identity()).await;
    assert_eq!(events.expect("it is active"), 4 * 400 + 350 + 2);
    let ended = organizations.load(&huge).await.expect("it is read");
    assert_eq!(ended.state().name(), "Dissolved");
    assert_eq!((ended.units.live().count(), ended.children.len()), (0, 0));
}

#[tokio::test]
async fn a_merger_that_was_cut_short_is_taken_up_again() {
    let organizations = Repository::<Organization>::new(store().await);
    let known = Known::new(organizations.clone());
    let (acme, sub) = (
        known.find("ACME").await.expect("it is there"),
        known.find("SUB").await.expect("it is there"),
    );
    let identity = MessageIdentity::new_from_user("test");
    let absorb = OrganizationCommand::Absorb { absorbed: sub };
    organizations
        .execute(&acme, absorb, &identity)
        .await
        .expect("it is active");
    let how = (
        MergerType::Acquisition,
        NaiveDate::from_ymd_opt(2026, 3, 1).expect("a date"),
    );
    let identity = MessageIdentity::new_from_user("test");
    let merged = merge(&organizations, sub, acme, how, &identity).await;
    assert_eq!(merged.expect("both are active"), 1);
    let suspended = merge(&organizations, acme, sub, how, &identity).await;
    let error = suspended.expect_err("the survivor ended").to_string();
    assert!(
        error.starts_with("`Absorb` is not accepted in state `Merged`"),
        "{error}"
    );
}

#[test]
fn the_exit_code_says_that_rows_were_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let bad = directory.path().join("bad.csv");
    std::fs::write(
        &bad,
        "kind,organization,code,name,parent,unit,detail\nunit,ACME,x,X,,,\n",
    )
    .expect("it is written");
    let output = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args([
            "run",
            "--quiet",
            "--example",
            "organization",
            "--",
            "--store",
        ])
        .arg(directory.path().join("organization.db"))
        .arg("import")
        .arg(&bad)
        .output()
        .expect("cargo starts");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(
        errors.contains("bad.csv: line 2: column `code`: \"x\" is no code"),
        "{errors}"
    );
}
