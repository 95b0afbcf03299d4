//! Organizations on every engine: what one holds no other gets, and two writers never both create a unit.

use crate::organization_support::*;
use cim_es::prelude::*;
use cim_es::repository::ExecuteError;
use cim_es::store::EventStore;
use cim_es_examples::organization::import::{File, Options, run};
use cim_es_examples::organization::values::OrganizationType;
use cim_es_examples::organization::{
    Organization, OrganizationCommand, OrganizationCommand::*, OrganizationError,
};
use tokio::task::JoinSet;

type Organizations = Repository<Organization>;

async fn execute(
    organizations: &Organizations,
    id: &Id<Organization>,
    command: OrganizationCommand,
) -> Result<u64, ExecuteError<OrganizationError>> {
    let identity = MessageIdentity::new_from_user("test");
    let commit = organizations.execute(id, command, &identity).await?;
    Ok(commit.version())
}

fn found(id: Id<Organization>, code: &str) -> OrganizationCommand {
    Create {
        id,
        code: text(code),
        name: text("Acme"),
        display_name: text("Acme"),
        organization_type: OrganizationType::Company,
        parent: None,
    }
}

/// Runs the same test on a store through a repository of its own for each writer, as processes have.
async fn unit_codes_are_unique(store: impl EventStore + Clone) {
    let organizations = Organizations::new(store.clone());
    let id = Id::new();
    execute(&organizations, &id, found(id, "ACME"))
        .await
        .expect("it is new");
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let organizations = Organizations::builder(store.clone())
            .conflict_retries(100)
            .build();
        racing.spawn(async move { execute(&organizations, &id, create_unit("RND", "")).await });
    }
    let answers = racing.join_all().await;
    let known = OrganizationError::Known {
        what: "unit",
        code: text("RND"),
    };
    let (mut created, mut refused) = (0, 0);
    for answer in answers {
        match answer {
            Ok(version) => {
                assert_eq!(version, 2);
                created += 1;
            }
            Err(ExecuteError::Refused(error)) => {
                assert_eq!(error, known);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((created, refused), (1, 7));
    let units = organizations.load(&id).await.expect("it is read");
    assert_eq!((units.version(), units.units.iter().count()), (2, 1));
}

/// Organizations that race for one code: one gets it, and when that one is dissolved another may.
async fn organization_codes_are_unique(store: impl EventStore + Clone) {
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let organizations = Organizations::new(store.clone());
        racing.spawn(async move {
            let id = Id::new();
            (id, execute(&organizations, &id, found(id, "RACE")).await)
        });
    }
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    for (id, answer) in racing.join_all().await {
        match answer {
            Ok(_) => winners.push(id),
            Err(ExecuteError::NameTaken { name, holder }) => {
                assert_eq!((name.scope(), name.name()), ("code", "RACE"));
                losers.push((id, holder.id));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let [winner] = winners[..] else {
        panic!("{winners:?}");
    };
    assert_eq!(losers.len(), 7);
    assert!(
        losers
            .iter()
            .all(|(_, holder)| *holder == winner.to_string())
    );

    let organizations = Organizations::new(store);
    execute(&organizations, &winner, dissolve())
        .await
        .expect("it ends");
    let (other, _) = losers[0];
    execute(&organizations, &other, found(other, "RACE"))
        .await
        .expect("the code is free");
    let holder = organizations
        .holder(&Organization::code_name(&text("RACE")))
        .await;
    let holder = holder.expect("it is read").expect("it is held");
    assert_eq!(holder.id, other.to_string());
}

/// Two parents that claim the same child: one gets it. A child does not get its parent as its own child.
async fn a_child_has_one_parent(store: impl EventStore + Clone) {
    let organizations = Organizations::new(store);
    let (one, other, child) = (Id::new(), Id::new(), Id::new());
    execute(&organizations, &one, found(one, "ONE"))
        .await
        .expect("it is new");
    execute(&organizations, &other, found(other, "OTHER"))
        .await
        .expect("it is new");
    execute(&organizations, &one, AddChild { child })
        .await
        .expect("it has no parent");
    let refused = execute(&organizations, &other, AddChild { child }).await;
    let refused = refused.expect_err("it has a parent").to_string();
    assert_eq!(
        refused,
        format!(
            "child `{child}` is held by organization.organization {one}: choose another, or have it released first"
        )
    );
    execute(&organizations, &one, RemoveChild { child })
        .await
        .expect("it is its child");
    execute(&organizations, &other, AddChild { child })
        .await
        .expect("it has no parent");

    let inverted = execute(&organizations, &one, AddChild { child: other }).await;
    inverted.expect("the other has no parent");
    let refused = execute(&organizations, &other, AddChild { child: one }).await;
    let refused = refused.expect_err("one is above the other").to_string();
    assert!(refused.starts_with("kinship `"), "{refused}");
    execute(&organizations, &one, RemoveChild { child: other })
        .await
        .expect("it is its child");
    execute(&organizations, &other, AddChild { child: one })
        .await
        .expect("it is not above any more");
}

/// A file with an organization that takes more than one commit, and one under it: all of it, and then nothing new.
async fn a_file_is_imported_once(store: impl EventStore + Clone) {
    let mut rows = "kind,organization,code,name,parent,unit,detail\n".to_owned();
    rows += "organization,,BIG,Big,,,\norganization,,SMALL,Small,BIG,,\n";
    rows.extend((0..1_000).map(|it| format!("unit,BIG,U{it},Unit {it},,,\n")));
    let file = File::read(rows.as_bytes()).expect("the columns are named");
    let mut recorded = Vec::new();
    for _ in 0..2 {
        let organizations = Organizations::new(store.clone());
        let report = run(&organizations, &file, Options::default(), |_, _| {}).await;
        let report = report.expect("the store takes it");
        assert_eq!(report.problems, []);
        recorded.push(report.events.values().sum::<usize>());
    }
    assert_eq!(recorded, [1_005, 0]);
}

/// Several that import the same files at once, new and then changed: all of it is there once, and nobody is told that
/// something is wrong.
async fn importers_do_not_get_in_each_others_way(store: impl EventStore + Clone) {
    let rows = "kind,organization,code,name,parent,unit,detail\n\
        organization,,SHARED,Shared,,,\nunit,SHARED,A,A,,,\nunit,SHARED,B,B,A,,\n\
        organization,,UNDER,Under,SHARED,,\norganization,,BELOW,Below,UNDER,,\nteam,BELOW,T,Team,,,\n";
    let changed = rows
        .replace(
            "unit,SHARED,B,B,A",
            "unit,SHARED,C,C,,,\nunit,SHARED,B,Bee,C",
        )
        .replace("Below,UNDER", "Below,SHARED");
    for (rows, created) in [(rows, 3), (&changed, 0)] {
        let mut racing = JoinSet::new();
        for _ in 0..4 {
            let organizations = Organizations::new(store.clone());
            let rows = rows.to_owned();
            racing.spawn(async move {
                let file = File::read(rows.as_bytes()).expect("the columns are named");
                let report = run(&organizations, &file, Options::default(), |_, _| {}).await;
                report.expect("the store takes it")
            });
        }
        let reports = racing.join_all().await;
        assert!(
            reports.iter().all(|it| it.problems.is_empty()),
            "{reports:?}"
        );
        let all: usize = reports.iter().map(|it| it.created).sum();
        assert_eq!(all, created, "{reports:?}");
        let organizations = Organizations::new(store.clone());
        let file = File::read(rows.as_bytes()).expect("the columns are named");
        let again = run(&organizations, &file, Options::default(), |_, _| {}).await;
        assert_eq!(again.expect("the store takes it").unchanged, 3);
    }
}

/// Two organizations that would each be continued by the other: one stays; and a third does not continue the same one.
async fn two_do_not_absorb_each_other(store: impl EventStore + Clone) {
    let organizations = Organizations::new(store);
    let (one, other) = (Id::new(), Id::new());
    for (id, code) in [(one, "ONE-OF-TWO"), (other, "OTHER-OF-TWO")] {
        for command in [found(id, code), Activate] {
            let executed = execute(&organizations, &id, command).await;
            executed.expect("it is accepted");
        }
    }
    execute(&organizations, &one, Absorb { absorbed: other })
        .await
        .expect("it is active");
    let refused = execute(&organizations, &other, Absorb { absorbed: one }).await;
    let refused = refused.expect_err("that one continues it").to_string();
    assert!(refused.starts_with("merger `"), "{refused}");

    let third = Id::new();
    for command in [found(third, "THIRD"), Activate] {
        let executed = execute(&organizations, &third, command).await;
        executed.expect("it is accepted");
    }
    let refused = execute(&organizations, &third, Absorb { absorbed: other }).await;
    let refused = refused.expect_err("another continues it").to_string();
    assert!(refused.starts_with("absorbed `"), "{refused}");
}

/// An organization knows its own id, so none is created that has another one.
async fn an_organization_is_created_under_its_own_id(store: impl EventStore + Clone) {
    let organizations = Organizations::new(store);
    let (one, other) = (Id::new(), Id::new());
    let refused = execute(&organizations, &one, found(other, "OTHER-ID")).await;
    assert_eq!(
        refused.expect_err("it is another").to_string(),
        format!("{other} is not the id under which `Create` is executed: give it that one")
    );
}

async fn everything(store: impl EventStore + Clone) {
    importers_do_not_get_in_each_others_way(store.clone()).await;
    a_file_is_imported_once(store.clone()).await;
    two_do_not_absorb_each_other(store.clone()).await;
    an_organization_is_created_under_its_own_id(store.clone()).await;
    unit_codes_are_unique(store.clone()).await;
    organization_codes_are_unique(store.clone()).await;
    a_child_has_one_parent(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_unique_and_files_are_imported_once_in_memory() {
    everything(MemoryEventStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_unique_and_files_are_imported_once_in_a_file() {
    let (_directory, store) = crate::engines::file();
    everything(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_unique_and_files_are_imported_once_on_a_server() {
    let (_server, stores) = crate::engines::server("ORGANIZATION_EVENTS", "organization.>").await;
    everything(stores).await;
}
