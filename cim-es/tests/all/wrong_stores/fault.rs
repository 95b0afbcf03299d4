//! What may be wrong with a store, and the promise that it breaks.

/// Declares the faults with the promise that each of them breaks.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident breaks $promise:ident,)*) => {
        /// What is wrong with a store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            /// Nothing.
            None,
            $($(#[$doc])* $fault,)*
        }

        /// Each fault, with the promise that it breaks.
        pub const FAULTS: &[(Fault, &str)] = &[$((Fault::$fault, stringify!($promise)),)*];
    };
}

faults! {
    // The guard.
    BothWritersWin breaks of_writers_that_expect_one_version_one_wins,
    OnlyTheFirstIsGuarded breaks every_aggregate_of_a_commit_is_guarded,
    TheThirdIsNotGuarded breaks every_aggregate_of_a_commit_is_guarded,
    TheConflictNamesTheFirst breaks every_aggregate_of_a_commit_is_guarded,
    /// What stands before the aggregate that is refused is stored.
    ARefusedCommitLeavesItsFirst breaks every_aggregate_of_a_commit_is_guarded,
    UnchangedIsNotGuarded breaks an_unchanged_aggregate_is_guarded_in_every_place,
    UnchangedIsLookedAtBefore breaks racing_writers_that_look_at_each_other_never_both_win,
    HeadsAreNotCompared breaks a_head_of_another_history_is_a_conflict,
    AnyIsNoStream breaks any_appends_to_whatever_is_there,
    NoStreamIsAny breaks no_stream_refuses_an_aggregate_that_has_events,
    ExactlyIsAtLeast breaks exactly_refuses_every_other_version,
    ExactlyIsAtMost breaks exactly_refuses_every_other_version,
    /// A handle compares with what it wrote and read itself.
    TheHeadIsFromAStaleCopy breaks handles_write_in_turn,
    AConflictIsAnInvalidCommit breaks exactly_refuses_every_other_version,

    // The commit.
    ACommitIsStoredPieceByPiece breaks a_commit_has_one_time_and_counts_its_events,
    ACommitIsSeenBitByBit breaks an_append_that_is_given_up_is_whole_or_not_there,
    ACommitIsSeenInTwoHalves breaks nobody_sees_a_part_of_a_commit,
    EventsPastThe600thAreDropped breaks a_commit_of_the_most_events_is_stored_whole,
    AggregatesPastThe50thAreDropped breaks a_commit_of_the_most_events_is_stored_whole,
    AnEmptyCommitIsStored breaks a_commit_that_is_not_well_formed_is_refused,
    EqualEventsAreStoredOnce breaks equal_events_are_several_events,
    AMessageIdIsUsedOnceInTheStore breaks equal_events_are_several_events,
    TimesAreInMilliseconds breaks a_commit_has_one_time_and_counts_its_events,
    TheActorIsLost breaks an_event_carries_its_place_its_predecessor_and_its_cause,
    TheCorrelationIsLost breaks an_event_carries_its_place_its_predecessor_and_its_cause,
    TheMetaIsLost breaks meta_stands_in_each_event_of_a_commit,
    TheAnswerIsBackwards breaks appended_events_come_back_as_they_were_written,
    TheAnswerIsCut breaks a_commit_of_the_most_events_is_stored_whole,
    TheAnswerIsAtAnotherPosition breaks appended_events_come_back_as_they_were_written,
    /// It answers before others see the events.
    AcknowledgedBeforeItIsSeen breaks another_handle_sees_what_was_written,

    // What is read.
    PositionsRepeat breaks appended_events_come_back_as_they_were_written,
    PositionsGoBack breaks appended_events_come_back_as_they_were_written,
    PositionsCountWithinTheAggregate breaks every_way_to_an_event_leads_to_the_same,
    ParentsAreLost breaks causal_parents_are_kept_sorted_and_once,
    TheSchemaIsLost breaks a_payload_comes_back_byte_by_byte,
    TheEnvelopeIsNotThatOfTheBytes breaks every_way_to_an_event_leads_to_the_same,
    AHistoryEndsAfter500 breaks a_long_history_reads_whole,
    AHistoryEndsAfter1000 breaks a_long_history_reads_whole,
    AHistoryBeginsOneLate breaks a_history_reads_from_any_version,
    AHistoryHasTheTypesOfItsKind breaks types_of_events_that_look_alike_do_not_mix,
    EverythingEndsAfter1000 breaks reading_all_gives_every_event_once_and_ends,
    EverythingEndsWithAFullPage breaks reading_gives_all_at_every_number_of_events,
    EverythingRepeatsTheFirstOfAPage breaks reading_gives_all_at_every_number_of_events,
    EverythingIncludesThePosition breaks reading_all_starts_after_any_position,
    EverythingDoesNotEnd breaks reading_all_ends_while_others_write,
    EverythingIsByAggregate breaks every_way_to_an_event_leads_to_the_same,
    TypesIncludeThePosition breaks events_of_a_type_come_in_order_after_a_position_up_to_a_limit,
    TypesAreByAggregate breaks events_of_a_type_come_in_order_after_a_position_up_to_a_limit,
    TypesArePrefixes breaks types_of_events_that_look_alike_do_not_mix,
    TypesAreCutAt64 breaks types_of_events_that_look_alike_do_not_mix,
    TypesIgnoreTheCase breaks types_of_events_that_look_alike_do_not_mix,
    TheLastIsOfAnyKind breaks two_kinds_with_one_id_do_not_mix,
    TheLastIsFromAStaleCopy breaks another_handle_sees_what_was_written,
    TheLastIsTheFirst breaks the_last_event_is_the_last,
    FoundByTheStartOfTheCid breaks an_event_is_found_by_its_cid,
    FoundByThePayload breaks an_event_is_found_by_its_cid,

    AHistoryHasNoLastVersion breaks a_history_has_two_bounds,

    TheKindsEndWithTheFirst breaks the_kinds_under_an_id_are_told,
    TheKindsAreThoseOfAllIds breaks the_kinds_under_an_id_are_told,

    // What was sealed elsewhere.
    AnotherBranchIsPassedOver breaks a_sealed_commit_of_another_branch_is_told,
    OnlyTheFirstSealedCommitIsStored breaks sealed_commits_are_stored_as_they_are,
    AMissingPredecessorIsAConflict breaks a_sealed_commit_without_its_predecessor_is_refused,

    // What is selected.
    ASelectionHasEverything breaks a_selection_gives_what_it_says_and_no_more,
    ASelectionIsNotOfPartitions breaks a_selection_gives_what_it_says_and_no_more,
    ASelectionOfNothingIsEmpty breaks a_selection_of_nothing_is_an_error,
    AnAggregateIsSelectedByItsIdAlone breaks a_selection_gives_what_it_says_and_no_more,
    ASubscriptionHasEverything breaks a_followed_selection_gives_what_was_and_what_comes,
    ABookmarkIsANumber breaks a_bookmark_of_another_history_is_an_error,
    ABookmarkPastTheEndIsItsEnd breaks a_bookmark_of_another_history_is_an_error,

    // What tells aggregates apart.
    IdsIgnoreTheCase breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreCutAt64 breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreCutAt200 breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreTrimmed breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreNumbers breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsHaveNoDots breaks any_text_is_an_id_and_no_two_of_them_mix,
    KindsAreIgnored breaks two_kinds_with_one_id_do_not_mix,
    KindsIgnoreTheCase breaks kinds_that_look_alike_do_not_mix,
    KindsAndIdsAreOneText breaks kinds_that_look_alike_do_not_mix,

    // Subscriptions.
    ALaggingSubscriptionLosesEvents breaks a_subscription_that_lags_loses_and_repeats_nothing,
    ALaggingSubscriptionRepeatsEvents breaks a_subscription_that_lags_loses_and_repeats_nothing,
    TheEventBetweenPastAndPresentIsMissed breaks a_subscription_goes_on_where_the_past_ends,
    TheEventBetweenPastAndPresentIsRepeated breaks a_subscription_goes_on_where_the_past_ends,
    ASubscriptionEnds breaks a_subscription_gives_what_was_and_what_comes,
    ASubscriptionBeginsAtTheStart breaks a_subscription_starts_after_a_position,
    ASubscriptionIncludesThePosition breaks a_subscription_starts_after_a_position,
    ASubscriptionSwapsNeighbours breaks a_subscription_gives_what_was_and_what_comes,

    // What is kept beside the events.
    SnapshotsHaveNoKind breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsHaveNoTag breaks the_newest_snapshot_of_a_tag_is_kept,
    AnOlderSnapshotReplacesANewer breaks the_newest_snapshot_of_a_tag_is_kept,
    TheFirstSnapshotStays breaks the_newest_snapshot_of_a_tag_is_kept,
    SnapshotsHavePositionsOf32Bits breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsAreCut breaks a_snapshot_comes_back_as_it_was_kept,
    ObjectsAreFoundByTheStartOfTheCid breaks an_object_is_kept_under_its_cid,
    ObjectsOfOneLengthAreOne breaks objects_that_look_alike_do_not_mix,
    ObjectsEndWithTheirLastByteThatIsNotZero breaks objects_that_look_alike_do_not_mix,
    ReadersShareACheckpoint breaks a_checkpoint_is_kept_by_name,
    ReadersIgnoreTheCase breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersAreTrimmed breaks any_text_names_a_reader_and_any_position_is_kept,
    CheckpointsOnlyRise breaks a_checkpoint_is_kept_by_name,
    CheckpointsAreFloats breaks any_text_names_a_reader_and_any_position_is_kept,
    CheckpointsHave32Bits breaks any_text_names_a_reader_and_any_position_is_kept,

    // Handles.
    ADroppedHandleClosesTheStore breaks a_handle_that_is_dropped_takes_nothing_with_it,
    ItForgetsWhenAllHandlesAreGone breaks a_handle_that_is_dropped_takes_nothing_with_it,
    EachHandleHasObjectsOfItsOwn breaks an_object_is_kept_under_its_cid,
    EachHandleHasCheckpointsOfItsOwn breaks a_checkpoint_is_kept_by_name,
    EachHandleHasSnapshotsOfItsOwn breaks the_newest_snapshot_of_a_tag_is_kept,
}
