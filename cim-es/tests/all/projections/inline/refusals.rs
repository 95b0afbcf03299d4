//! What cannot be kept with the events is refused, with what to do.

use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::projection::{OpenError, ProjectDocuments, ProjectionError, ProjectionManager, ViewId};
use cim_es::store::StoreError;
use cim_es::store::read_model::{ReadModelError, ReadModelStorage, ViewDeclaration};

use super::Kept;
use crate::account::{Account, AccountEvent};
use crate::projections::{Card, Cards, deposit};
use crate::sqlite_support::Directory;

async fn refused(manager: &ProjectionManager, store: &SqliteEventStore) -> OpenError {
    manager.inline::<Cards>(store).await.unwrap_err()
}

#[tokio::test]
async fn a_view_is_kept_in_the_store_of_its_manager_and_once() {
    let kept = Kept::new().await;
    let directory = Directory::new();
    let other = SqliteEventStore::open(directory.file("other.db")).unwrap();
    let error = refused(&kept.manager, &other).await;
    assert!(matches!(error, OpenError::AnotherStore { .. }), "{error}");
    assert!(error.to_string().contains("other.db"), "{error}");
    let error = refused(&ProjectionManager::new(MemoryEventStore::new()), &other).await;
    assert!(matches!(error, OpenError::AnotherStore { .. }), "{error}");

    let error = refused(&kept.manager, &kept.store).await;
    assert!(matches!(error, OpenError::NameTaken { .. }), "{error}");
    let second = ProjectionManager::new(kept.store.clone());
    let error = refused(&second, &kept.store).await;
    assert!(matches!(error, OpenError::KeptAlready { .. }), "{error}");
    kept.cards.stop().await;
    second.inline::<Cards>(&kept.store).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_open_for_reading_only_keeps_no_view_and_answers() {
    let kept = Kept::new().await;
    let ann = Id::new();
    deposit(&kept.store, ann, 5).await;
    let reading = SqliteEventStore::options()
        .read_only()
        .open(kept.path())
        .unwrap();
    let manager = ProjectionManager::new(reading.clone());
    let error = refused(&manager, &reading).await;
    let OpenError::Storage(ReadModelError::Storage(StoreError::ReadOnly { .. })) = error else {
        panic!("{error}");
    };
    let storage = reading.read_models();
    let declaration = ViewDeclaration::new(ViewId::new("others", 1).unwrap(), 1);
    storage.open_view(&declaration).await.unwrap_err();
    assert_eq!(storage.views("others").await.unwrap(), []);
}

/// Another declaration under the same version.
#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [AccountEvent::{Opened}], documents = Card)]
struct OtherCards;

impl ProjectDocuments<AccountEvent> for OtherCards {
    async fn project(
        &self,
        _: AccountEvent,
        _: &Source<'_, Account>,
        _: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_declaration_that_changed_under_its_version_is_refused() {
    let kept = Kept::new().await;
    kept.manager.stop().await;
    let manager = ProjectionManager::new(kept.store.clone());
    let error = manager.inline::<OtherCards>(&kept.store).await.unwrap_err();
    let OpenError::Storage(ReadModelError::DeclarationChanged { .. }) = error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("raise the version"), "{error}");
}
