//! A new version is built in tables of its own, and takes over in one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cim_es::prelude::*;
use cim_es::projection::{
    OpenError, ProjectTables, ProjectionError, ProjectionManager, Tables, TablesReader, ViewState,
};
use cim_es::store::Position;

use super::super::{LIMIT, deposit, until};
use super::{Desk, Sums, change_of};
use crate::account::{Account, AccountEvent};

/// The second version counts double in a table of another form, and stops at each event beyond `may_take`.
#[derive(Projection, Clone)]
#[projection(
    name = "sums",
    version = 2,
    events = [AccountEvent],
    tables = "CREATE TABLE {accounts} (double INTEGER NOT NULL, id TEXT PRIMARY KEY);",
)]
struct Doubles {
    may_take: Arc<AtomicUsize>,
    outside: Arc<AtomicUsize>,
}

impl ProjectTables<AccountEvent> for Doubles {
    fn project(
        &self,
        event: AccountEvent,
        at: &Source<'_, Account>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        let less = |left: usize| left.checked_sub(1);
        if self
            .may_take
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_err()
        {
            return Err(ProjectionError::new("it may take no more"));
        }
        if at.is_new() {
            self.outside.fetch_add(1, Ordering::Relaxed);
        }
        tables.execute(
            "INSERT INTO {accounts} (id, double) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET double = double + excluded.double",
            (at.id_text(), 2 * change_of(&event).unwrap_or_default()),
        )?;
        Ok(())
    }
}

fn tables_in(desk: &Desk) -> String {
    let all = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE name LIKE 'sums%' ORDER BY name)";
    desk.sql::<Option<String>>(all).unwrap().unwrap_or_default()
}

#[tokio::test]
async fn a_new_version_answers_when_it_is_level_and_the_tables_of_the_one_before_are_gone() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (_former, view) = desk.open().await;
    let mut last = Position::START;
    for _ in 0..5 {
        last = deposit(&desk.store, ann, 1).await;
    }
    view.wait_for(last, LIMIT).await.unwrap();
    let reader = TablesReader::new(desk.models(), "sums");
    let version = async || {
        let read = reader.read(|tables| Ok(tables.view().version()));
        read.await.unwrap().value
    };

    // It stops in the middle, and the former one goes on to answer.
    let doubles = Doubles {
        may_take: Arc::new(AtomicUsize::new(6)),
        outside: Arc::default(),
    };
    let manager = ProjectionManager::new(desk.store.clone());
    let opening = manager.tables_by(doubles.clone(), desk.models());
    let next = opening.await.unwrap();
    // A sixth event may be there when it comes to the end: it is parked at the seventh.
    until(|| next.status().up_to.position == last || next.status().parked().is_some()).await;
    doubles.may_take.store(usize::MAX, Ordering::Relaxed);
    if next.status().parked().is_some() {
        next.resume().await.unwrap();
    }
    next.wait_for(last, LIMIT).await.unwrap();
    until(|| tables_in(&desk) == "sums_2_accounts,sums_accounts").await;
    assert_eq!(version().await, 2);
    assert_eq!(
        desk.sql::<i64>("SELECT double FROM sums_accounts").unwrap(),
        10
    );
    assert_eq!(doubles.outside.load(Ordering::Relaxed), 0);
    let last = deposit(&desk.store, ann, 1).await;
    next.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(doubles.outside.load(Ordering::Relaxed), 1);
    // The program of the version before is told.
    until(|| matches!(view.status().state, ViewState::Stopped { .. })).await;
    let refused = ProjectionManager::new(desk.store.clone()).tables::<Sums>(desk.models());
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, OpenError::Superseded { .. }), "{refused}");
}

#[tokio::test]
async fn while_a_new_version_is_built_every_program_reads_the_one_before_by_the_name_without_a_version()
 {
    let (desk, ann) = (Desk::new(), Id::new());
    let (_former, view) = desk.open().await;
    let last = deposit(&desk.store, ann, 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    deposit(&desk.store, ann, 1).await;
    let last = deposit(&desk.store, ann, 1).await;
    let doubles = Doubles {
        may_take: Arc::new(AtomicUsize::new(1)),
        outside: Arc::default(),
    };
    let manager = ProjectionManager::new(desk.store.clone());
    let opening = manager
        .tables_by(doubles, desk.models())
        .keep_former_versions();
    let next = opening.await.unwrap();
    until(|| next.status().parked().is_some()).await;
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(desk.sql::<i64>("SELECT sum FROM sums_accounts").unwrap(), 3);
    assert!(tables_in(&desk).contains("sums_2_accounts"));
    assert!(tables_in(&desk).contains("sums_movements"));
}

#[tokio::test]
async fn a_version_that_is_kept_stays_readable_by_its_own_name() {
    let (desk, ann) = (Desk::new(), Id::new());
    let (former, view) = desk.open().await;
    let last = deposit(&desk.store, ann, 1).await;
    view.wait_for(last, LIMIT).await.unwrap();
    former.stop().await;
    let doubles = Doubles {
        may_take: Arc::new(AtomicUsize::new(usize::MAX)),
        outside: Arc::default(),
    };
    let manager = ProjectionManager::new(desk.store.clone());
    let opening = manager
        .tables_by(doubles, desk.models())
        .keep_former_versions();
    let next = opening.await.unwrap();
    next.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(
        desk.sql::<i64>("SELECT double FROM sums_accounts").unwrap(),
        2
    );
    assert_eq!(
        desk.sql::<i64>("SELECT sum FROM sums_1_accounts").unwrap(),
        1
    );
    // What only the version before had is no longer read by a name without a version.
    assert!(!tables_in(&desk).contains("sums_movements"));
}
