//! What may be wrong with a store, and the promise that it breaks.

/// Declares the faults with the promises that each of them breaks.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident breaks $($promise:ident)and+,)*) => {
        /// What is wrong with a store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            /// Nothing.
            None,
            $($(#[$doc])* $fault,)*
        }

        /// Each fault, with each promise that it breaks.
        pub const FAULTS: &[(Fault, &str)] = &[$($((Fault::$fault, stringify!($promise)),)+)*];
    };
}

faults! {
    // The guard.
    BothWritersWin breaks
        of_writers_that_expect_one_version_one_wins
        and concurrent_writers_with_an_expected_version_lose_nothing
        and two_handles_on_the_same_data_lose_nothing
        and racing_writers_never_share_a_name,
    OnlyTheFirstIsGuarded breaks
        every_aggregate_of_a_commit_is_guarded
        and a_conflict_on_one_of_several_aggregates_decides_all_again,
    TheThirdIsNotGuarded breaks every_aggregate_of_a_commit_is_guarded,
    TheConflictNamesTheFirst breaks every_aggregate_of_a_commit_is_guarded,
    /// What stands before the aggregate that is refused is stored.
    ARefusedCommitLeavesItsFirst breaks
        every_aggregate_of_a_commit_is_guarded
        and a_commit_over_several_aggregates_is_all_or_nothing,
    UnchangedIsNotGuarded breaks
        an_unchanged_aggregate_is_guarded_in_every_place
        and an_aggregate_that_is_looked_at_guards_the_commit,
    UnchangedIsLookedAtBefore breaks
        racing_writers_that_look_at_each_other_never_both_win
        and of_two_that_look_at_each_other_one_gives_way,
    HeadsAreNotCompared breaks a_head_of_another_history_is_a_conflict,
    AnyIsNoStream breaks any_appends_to_whatever_is_there,
    NoStreamIsAny breaks no_stream_refuses_an_aggregate_that_has_events,
    ExactlyIsAtLeast breaks
        exactly_refuses_every_other_version
        and a_conflict_decides_again_on_the_newer_history,
    ExactlyIsAtMost breaks exactly_refuses_every_other_version,
    /// A handle compares with what it wrote and read itself.
    TheHeadIsFromAStaleCopy breaks handles_write_in_turn,
    AConflictIsAnInvalidCommit breaks
        exactly_refuses_every_other_version
        and without_retries_the_conflict_is_the_answer
        and repositories_on_two_handles_share_an_aggregate,
    TheConflictHasNoVersion breaks no_stream_refuses_an_aggregate_that_has_events,
    /// `Any` goes on from the version that the handle knows.
    AnyGoesOnFromAStaleHead breaks handles_write_in_turn,
    VersionsCountAllKindsOfAnId breaks two_kinds_with_one_id_do_not_mix,
    /// What a commit has of other kinds than that of its first aggregate, such as unique names.
    OtherKindsAreNotGuarded breaks of_writers_that_claim_one_name_one_wins,

    /// Of two kinds with one id in a commit, the second is not looked at.
    AnIdIsGuardedOnce breaks two_kinds_with_one_id_are_guarded_each_by_itself,
    AnIdMovesAsAWhole breaks another_kind_with_the_id_of_an_unchanged_aggregate_may_move,
    FiftyAggregatesAreGuarded breaks many_aggregates_are_guarded_as_one_is,
    /// The aggregates of a refused commit take no further one.
    ARefusalIsRemembered breaks a_refused_commit_leaves_no_trace,
    ACommitMayBeOfAnyMessage breaks a_message_id_that_another_command_used_is_refused,

    // The commit.
    AnyBytesAreAPayload breaks a_payload_that_is_not_canonical_stores_nothing,
    PayloadsHaveNoLimit breaks a_payload_past_the_limit_stores_nothing,
    TimesMayGoBack breaks time_never_goes_back_within_an_aggregate,
    ACommitIsStoredPieceByPiece breaks
        a_commit_has_one_time_and_counts_its_events
        and several_aggregates_are_one_commit_that_takes_effect_once,
    ACommitIsSeenBitByBit breaks an_append_that_is_given_up_is_whole_or_not_there,
    ACommitIsSeenInTwoHalves breaks nobody_sees_a_part_of_a_commit,
    EventsPastThe600thAreDropped breaks a_commit_of_the_most_events_is_stored_whole,
    AggregatesPastThe50thAreDropped breaks a_commit_of_the_most_events_is_stored_whole,
    AnEmptyCommitIsStored breaks a_commit_that_is_not_well_formed_is_refused,
    EqualEventsAreStoredOnce breaks
        equal_events_are_several_events
        and a_commit_carries_what_it_changes_about_names,
    AMessageIdIsUsedOnceInTheStore breaks equal_events_are_several_events,
    TimesAreInMilliseconds breaks a_commit_has_one_time_and_counts_its_events,
    TheActorIsLost breaks an_event_carries_its_place_its_predecessor_and_its_cause,
    TheCorrelationIsLost breaks an_event_carries_its_place_its_predecessor_and_its_cause,
    TheCauseIsNoParent breaks an_event_that_causes_a_commit_is_a_parent_in_each_aggregate,
    TheMessageIdIsLost breaks
        a_command_takes_effect_once
        and a_command_takes_effect_once_past_a_snapshot_and_a_restart,
    /// Every fiftieth commit is acknowledged, and gone.
    AnAcknowledgedCommitIsLost breaks
        concurrent_writers_with_any_version_lose_nothing
        and concurrent_commits_over_two_aggregates_stay_whole,
    TheAnswerIsOfTheFirstAggregate breaks
        a_commit_has_one_time_and_counts_its_events
        and a_refusal_on_one_of_several_aggregates_stores_nothing,
    TimesBefore1970AreZero breaks any_time_comes_back_to_the_microsecond,
    TimesAreFloats breaks any_time_comes_back_to_the_microsecond,
    NobodyIsAnEmptyText breaks any_text_is_an_actor,
    ActorsAreTrimmed breaks any_text_is_an_actor,
    ActorsAreNormalised breaks any_text_is_an_actor,
    MetaNumbersAreFloats breaks any_value_is_meta,
    MetaNamesIgnoreTheCase breaks any_value_is_meta,
    SchemasHave16Bits breaks large_versions_many_parents_and_empty_payloads_are_kept,
    ParentsAreCutAt16 breaks large_versions_many_parents_and_empty_payloads_are_kept,
    EventsWithoutFieldsAreDropped breaks large_versions_many_parents_and_empty_payloads_are_kept,
    AnyTextIsAType breaks what_can_be_no_subject_is_refused,
    TheMetaIsLost breaks meta_stands_in_each_event_of_a_commit,
    TheAnswerIsBackwards breaks
        appended_events_come_back_as_they_were_written
        and several_commands_are_one_commit,
    TheAnswerIsCut breaks a_commit_of_the_most_events_is_stored_whole,
    TheAnswerIsAtAnotherPosition breaks appended_events_come_back_as_they_were_written,
    /// It answers before others see the events.
    AcknowledgedBeforeItIsSeen breaks another_handle_sees_what_was_written,

    // What comes again.
    RepeatsAreStoredAgain breaks an_append_takes_effect_once,
    RepeatsAreForgottenAfter100 breaks an_append_takes_effect_once,
    RepeatsAreKnownToTheirHandleAlone breaks an_append_takes_effect_once,
    RepeatsWithoutATimeAreStoredAgain breaks an_append_takes_effect_once,
    /// A message whose id is later than the last event, by more than clocks may differ, counts as new.
    RepeatsGoByTheClock breaks an_append_takes_effect_once,
    RepeatsAreConflicts breaks an_append_takes_effect_once,
    RepeatsAreRefused breaks an_append_takes_effect_once,
    RepeatsOverSeveralAggregatesAreStoredAgain breaks
        an_append_over_several_aggregates_takes_effect_once,
    RepeatsAreAnsweredWhateverTheySay breaks a_message_with_another_commit_is_refused,
    RepeatsOfOtherEventsAreStored breaks a_message_with_another_commit_is_refused,
    AnEarlierIdIsARepeat breaks a_new_message_is_stored_whatever_its_id,
    RacingRepeatsAreBothStored breaks racing_repeats_store_one_commit,

    // What is read.
    PositionsRepeat breaks appended_events_come_back_as_they_were_written,
    PositionsGoBack breaks appended_events_come_back_as_they_were_written,
    PositionsCountWithinTheAggregate breaks every_way_to_an_event_leads_to_the_same,
    ParentsAreLost breaks causal_parents_are_kept_sorted_and_once,
    TheSchemaIsLost breaks a_payload_comes_back_byte_by_byte,
    TheEnvelopeIsNotThatOfTheBytes breaks every_way_to_an_event_leads_to_the_same,
    AHistoryEndsAfter500 breaks a_long_history_reads_whole,
    AHistoryEndsAfter1000 breaks a_long_history_reads_whole,
    AHistoryEndsBehindALargeEvent breaks large_events_come_whole_wherever_they_stand,
    EverythingEndsBehindALargeEvent breaks large_events_come_whole_wherever_they_stand,
    TheEventBehindAFullMegabyteIsSkipped breaks large_events_come_whole_wherever_they_stand,
    APageOfAMegabyteLosesItsLast breaks events_that_fill_a_megabyte_are_read_whole,
    ASubscriptionSkipsLargeEvents breaks large_events_come_whole_wherever_they_stand,
    LargeEventsHaveNoCid breaks large_events_come_whole_wherever_they_stand,
    AFullPageBehindTheMiddleIsCut breaks a_long_history_reads_whole,
    AHistoryBehindAnotherHeadIsEmpty breaks a_history_has_two_bounds,
    AHistoryUpToAVersionIsACount breaks a_history_has_two_bounds,
    AHistoryOfADroppedKindIsEmpty breaks two_kinds_with_one_id_do_not_mix,
    HistoriesAreFromAStaleCopy breaks
        another_handle_sees_what_was_written
        and a_refusal_on_a_stale_aggregate_is_confirmed_first
        and an_acceptance_without_change_is_confirmed_first,
    AnEmptyHistoryStaysEmpty breaks commands_go_on_from_what_was_sealed_elsewhere,
    TheLastOfANameIsFromAStaleCopy breaks what_is_known_of_names_is_what_the_store_says,
    AnotherHandleRepeatsTheLast breaks handles_write_in_turn,
    TypesEndWithAFullPage breaks reading_gives_all_at_every_number_of_events,
    AggregatesEndWithAFullPage breaks reading_gives_all_at_every_number_of_events,
    KindsEndWithAFullPage breaks reading_gives_all_at_every_number_of_events,
    PartitionsEndWithAFullPage breaks reading_gives_all_at_every_number_of_events,
    AHistoryDoesNotEnd breaks a_history_ends_while_others_write,
    EventsOfACommitAreRegrouped breaks a_commit_keeps_the_order_of_events_that_alternate,
    AHistoryBeginsOneLate breaks a_history_reads_from_any_version,
    AHistoryHasTheTypesOfItsKind breaks types_of_events_that_look_alike_do_not_mix,
    EverythingEndsAfter1000 breaks
        reading_all_gives_every_event_once_and_ends
        and a_selection_over_many_pages_is_whole,
    EverythingEndsWithAFullPage breaks reading_gives_all_at_every_number_of_events,
    EverythingRepeatsTheFirstOfAPage breaks reading_gives_all_at_every_number_of_events,
    EverythingIncludesThePosition breaks reading_all_starts_after_any_position,
    EverythingDoesNotEnd breaks reading_all_ends_while_others_write,
    EverythingIsByAggregate breaks every_way_to_an_event_leads_to_the_same,
    TypesIncludeThePosition breaks events_of_a_type_come_in_order_after_a_position_up_to_a_limit,
    TypesAreByAggregate breaks
        events_of_a_type_come_in_order_after_a_position_up_to_a_limit
        and events_of_a_subject_come_typed_and_in_order,
    TypesArePrefixes breaks
        types_of_events_that_look_alike_do_not_mix
        and all_aggregates_of_a_kind_are_loaded_at_once,
    TypesAreCutAt64 breaks types_of_events_that_look_alike_do_not_mix,
    TypesIgnoreTheCase breaks types_of_events_that_look_alike_do_not_mix,
    TheLastIsOfAnyKind breaks two_kinds_with_one_id_do_not_mix,
    TheLastIsFromAStaleCopy breaks another_handle_sees_what_was_written,
    TheLastIsTheFirst breaks
        the_last_event_is_the_last
        and a_unique_name_has_one_holder
        and unique_names_hold_over_several_aggregates_and_pass_on,
    FoundByTheStartOfTheCid breaks an_event_is_found_by_its_cid,
    FoundByThePayload breaks an_event_is_found_by_its_cid,
    FoundAmongTheFirst500 breaks any_event_of_a_long_history_is_found,
    FoundAmongTheLast1000 breaks any_event_of_a_long_history_is_found,
    FoundByTheHandleThatWroteIt breaks another_handle_sees_what_was_written,
    TheLastIsTheFirstOfItsCommit breaks the_last_event_is_the_last,
    TheLastOfManyIsOfTheFirstPage breaks a_long_history_reads_whole,

    AHistoryHasNoLastVersion breaks a_history_has_two_bounds,

    TheKindsEndWithTheFirst breaks the_kinds_under_an_id_are_told,
    TheKindsAreThoseOfAllIds breaks the_kinds_under_an_id_are_told,
    TheKindsAreThoseOfIdsThatBeginAlike breaks the_kinds_under_ids_that_look_alike_do_not_mix,
    TheKindsIgnoreTheCaseOfAnId breaks the_kinds_under_ids_that_look_alike_do_not_mix,
    TheKindsAreOfTheFirstPage breaks the_kinds_under_ids_that_look_alike_do_not_mix,
    TheKindsRepeat breaks the_kinds_under_ids_that_look_alike_do_not_mix,
    TheKindsAreOfTheLastEvent breaks the_kinds_under_an_id_are_told,

    /// The history of an aggregate without events begins with one that says that it was asked for.
    AnAggregateBeginsWhenItIsAskedFor breaks
        an_undeclared_event_stores_nothing
        and a_command_without_an_edge_is_refused
        and several_aggregates_that_do_not_change_store_nothing
        and of_several_commands_all_take_effect_or_none,
    FoundIfItIsTheLast breaks an_event_is_found_in_its_aggregate,
    OnlyTheFirstKindHasALast breaks a_name_that_another_has_reserved_is_not_released,

    // What a store says of itself.
    TheStoreHasNoId breaks clones_of_a_handle_are_one_store,
    TheStoreHasAnotherIdEachTime breaks clones_of_a_handle_are_one_store,
    ItOffersSnapshotsThatItDoesNotKeep breaks clones_of_a_handle_are_one_store,
    ItOffersNoSnapshots breaks a_snapshot_plus_the_rest_is_the_whole,

    // What was sealed elsewhere.
    AnotherBranchIsPassedOver breaks a_sealed_commit_of_another_branch_is_told,
    OnlyTheFirstSealedCommitIsStored breaks sealed_commits_are_stored_as_they_are,
    AMissingPredecessorIsAConflict breaks a_sealed_commit_without_its_predecessor_is_refused,
    AMissingPredecessorIsPassedOver breaks a_sealed_commit_without_its_predecessor_is_refused,
    AMissingPredecessorHasDiverged breaks a_sealed_commit_without_its_predecessor_is_refused,
    WhatIsNeededIsTheFirst breaks a_sealed_commit_without_its_predecessor_is_refused,
    ADivergenceIsAConflict breaks a_sealed_commit_of_another_branch_is_told,
    ADivergenceTakesOursForTheirs breaks a_sealed_commit_of_another_branch_is_told,
    ADivergenceIsOneVersionLate breaks a_sealed_commit_of_another_branch_is_told,
    WhatIsThereHasDiverged breaks sealed_commits_that_are_there_are_passed_over,
    WhatIsThereIsNotAnswered breaks sealed_commits_that_are_there_are_passed_over,
    ASealedBlockIsStoredTwice breaks sealed_commits_that_are_there_are_passed_over,
    SealedCommitsWereNeverThere breaks sealed_commits_that_are_there_are_passed_over,
    SealedCommitsWereAlwaysThere breaks sealed_commits_are_stored_as_they_are,
    TheAnswerToSealedCommitsIsBackwards breaks sealed_commits_are_stored_as_they_are,
    SealedCommitsAreSortedByAggregate breaks sealed_commits_are_stored_as_they_are,
    ASealedCommitHasOneEvent breaks sealed_commits_are_stored_as_they_are,
    SealedCommitsAreStoredUpToTheFirstThatIsRefused breaks a_sealed_commit_with_another_past_is_refused,
    APartOfAListIsSaidToBeStored breaks what_is_said_of_a_list_that_is_not_stored_whole_is_so,
    APartOfAListIsNotSaidToBeStored breaks what_is_said_of_a_list_that_is_not_stored_whole_is_so,
    AForkWithinAListIsCutShort breaks a_sealed_commit_with_another_past_is_refused,
    SealedBlocksAreNotProved breaks what_is_no_whole_commit_is_refused,
    SealedHashesAreNotChecked breaks what_is_no_whole_commit_is_refused,
    HalfASealedCommitIsAccepted breaks what_is_no_whole_commit_is_refused,
    SealedBlocksMayBeNotCanonical breaks what_is_sealed_wrongly_is_refused,
    SealedChainsAreNotChecked breaks what_is_sealed_wrongly_is_refused,
    ProvedPayloadsHaveNoLimit breaks a_sealed_payload_past_the_limit_is_refused,
    ProvedCommitsAreStoredUpToTheFirstThatIsRefused breaks what_was_proved_is_stored_as_what_was_sealed,
    ProvedCommitsAreOfOneAggregate breaks what_was_proved_is_stored_as_what_was_sealed,
    ABranchThatWasProvedIsPassedOver breaks what_was_proved_is_stored_as_what_was_sealed,
    SealedPayloadsHaveNoLimit breaks a_sealed_payload_past_the_limit_is_refused,
    ASealedCommitIsSeenBitByBit breaks nobody_sees_a_part_of_a_sealed_commit,
    ASealedCommitIsSeenInTwoHalves breaks an_import_that_is_given_up_is_whole_or_not_there,
    EventsOfASealedCommitAreRegrouped breaks a_sealed_commit_keeps_the_order_of_events_that_alternate,
    SealedEventsPastThe500thAreDropped breaks a_sealed_commit_of_the_most_events_is_stored_whole,
    FollowersAreNotToldOfImports breaks what_was_sealed_elsewhere_is_followed_and_found,
    ImportsAreNotFoundByTheirCid breaks what_was_sealed_elsewhere_is_followed_and_found,
    ImportsAreNotInTheIndexOfTypes breaks what_was_sealed_elsewhere_is_followed_and_found,
    ImportsAreNotAmongTheKinds breaks what_was_sealed_elsewhere_is_followed_and_found,
    BlocksOfAnotherHashAreRefused breaks blocks_of_another_hash_are_stored_as_they_are,
    BlocksOfAnotherHashAreNotFound breaks blocks_of_another_hash_are_stored_as_they_are,
    TheLastIsOfThoseWrittenHere breaks what_was_sealed_elsewhere_is_followed_and_found,
    TheMessagesOfImportsAreForgotten breaks commands_go_on_from_what_was_sealed_elsewhere,
    ABranchThatComesAtOnceIsPassedOver breaks of_two_branches_that_come_at_once_one_wins,
    AnImportRefusesWhatAnotherBrings breaks racing_imports_store_each_commit_once,
    ACommitTwiceInAListIsNew breaks a_sealed_commit_twice_in_a_list_is_stored_once,
    AWriterFollowsAnImportBlindly breaks an_import_and_a_writer_never_both_win,

    TheLastPositionLags breaks the_last_position_is_that_of_the_last_event,
    /// A handle knows of what was written by itself alone.
    TheLastPositionIsOfThoseWrittenHere breaks the_last_position_is_that_of_the_last_event,
    TheFirstPositionIsTheLast breaks the_last_position_is_that_of_the_last_event,

    // What is selected.
    ASelectionHasEverything breaks a_selection_gives_what_it_says_and_no_more,
    ASelectionIsNotOfPartitions breaks
        a_selection_gives_what_it_says_and_no_more
        and the_partitions_together_are_everything,
    ASelectionOfNothingIsEmpty breaks a_selection_of_nothing_is_an_error,
    AnAggregateIsSelectedByItsIdAlone breaks a_selection_gives_what_it_says_and_no_more,
    ASubscriptionHasEverything breaks a_followed_selection_gives_what_was_and_what_comes,
    AFollowerHasAllPartitions breaks a_followed_selection_gives_what_was_and_what_comes,
    AFollowerHasAllKinds breaks a_followed_selection_gives_what_was_and_what_comes,
    ABookmarkIsANumber breaks a_bookmark_of_another_history_is_an_error,
    ABookmarkPastTheEndIsItsEnd breaks a_bookmark_of_another_history_is_an_error,
    ABookmarkIsANumberToFollowers breaks a_bookmark_of_another_history_is_an_error,
    ABookmarkIsLookedAtForEverythingAlone breaks a_bookmark_of_another_history_is_an_error,
    ABookmarkIsNotLookedAtForAnAggregate breaks a_bookmark_of_another_history_is_an_error,
    ABookmarkOfAnotherHistoryBeginsAgain breaks a_bookmark_of_another_history_is_an_error,
    SeveralSubjectsRepeatEvents breaks a_selection_gives_what_it_says_and_no_more,
    AnAggregatesIdIsAPattern breaks any_text_is_an_id_and_no_two_of_them_mix,
    PartitionsLeaveOutTheLast breaks a_selection_gives_what_it_says_and_no_more,
    PartitionsIgnoreTheCase breaks any_text_is_an_id_and_no_two_of_them_mix,
    AKindIsSelectedByItsStart breaks a_selection_gives_what_it_says_and_no_more,
    TypesAreInTheOrderOfTheirNames breaks a_selection_gives_what_it_says_and_no_more,

    // What tells aggregates apart.
    IdsIgnoreTheCase breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreCutAt64 breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreCutAt200 breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreTrimmed breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreNumbers breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreNormalised breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreUnescaped breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsHaveUnderscoresForDots breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsHaveSignsForDots breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsEndAtANul breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsHaveNoInvisibleSigns breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreFolded breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsAreFormValues breaks any_text_is_an_id_and_no_two_of_them_mix,
    IdsHaveNoDots breaks any_text_is_an_id_and_no_two_of_them_mix,
    KindsAreIgnored breaks two_kinds_with_one_id_do_not_mix and an_aggregate_loads_as_it_was,
    KindsIgnoreTheCase breaks kinds_that_look_alike_do_not_mix,
    KindsAndIdsAreOneText breaks kinds_that_look_alike_do_not_mix,

    // Subscriptions.
    ALaggingSubscriptionLosesEvents breaks a_subscription_that_lags_loses_and_repeats_nothing,
    ALaggingSubscriptionRepeatsEvents breaks a_subscription_that_lags_loses_and_repeats_nothing,
    TheEventBetweenPastAndPresentIsMissed breaks
        a_subscription_goes_on_where_the_past_ends
        and subscriptions_made_while_others_write_miss_nothing,
    TheEventBetweenPastAndPresentIsRepeated breaks a_subscription_goes_on_where_the_past_ends,
    ASubscriptionEnds breaks a_subscription_gives_what_was_and_what_comes,
    ASubscriptionBeginsAtTheStart breaks a_subscription_starts_after_a_position,
    ASubscriptionIncludesThePosition breaks a_subscription_starts_after_a_position,
    ASubscriptionSwapsNeighbours breaks
        a_subscription_gives_what_was_and_what_comes
        and a_subscription_misses_nothing_under_concurrent_writers,
    ASubscriptionRepeatsTheLastOfAPage breaks a_subscription_goes_on_where_the_past_ends,
    AFollowerOfATypeRepeatsTheLastOfAPage breaks a_subscription_goes_on_where_the_past_ends,
    AFollowerOfAnAggregateMissesTheFirstOfAPage breaks a_subscription_goes_on_where_the_past_ends,
    ASubscriptionHasWhatItsHandleWrites breaks a_subscription_follows_another_handle,

    // What is kept beside the events.
    SnapshotsHaveNoKind breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsHaveNoTag breaks the_newest_snapshot_of_a_tag_is_kept,
    AnOlderSnapshotReplacesANewer breaks the_newest_snapshot_of_a_tag_is_kept,
    TheFirstSnapshotStays breaks the_newest_snapshot_of_a_tag_is_kept,
    SnapshotsHavePositionsOf32Bits breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsFitWhateverIsThere breaks a_snapshot_that_does_not_fit_is_ignored,
    SnapshotsAreCut breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsPastAMegabyteAreDropped breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsLoseTheirCid breaks a_snapshot_comes_back_as_it_was_kept,
    SnapshotsHaveVersionsThatAreFloats breaks a_snapshot_comes_back_as_it_was_kept,
    TagsAreFloats breaks the_newest_snapshot_of_a_tag_is_kept,
    TagsHave32Bits breaks the_newest_snapshot_of_a_tag_is_kept,
    AnAggregateHasOneTag breaks the_newest_snapshot_of_a_tag_is_kept,
    SnapshotsHaveNoId breaks the_newest_snapshot_of_a_tag_is_kept,
    EmptySnapshotsAreNone breaks a_snapshot_comes_back_as_it_was_kept,
    ObjectsAreFoundByTheStartOfTheCid breaks an_object_is_kept_under_its_cid,
    ObjectsOfOneLengthAreOne breaks objects_that_look_alike_do_not_mix,
    ObjectsEndWithTheirLastByteThatIsNotZero breaks objects_that_look_alike_do_not_mix,
    ObjectsOfWholePiecesLoseTheLast breaks objects_that_look_alike_do_not_mix,
    ObjectsAreCutAtAMegabyte breaks objects_that_look_alike_do_not_mix,
    EmptyObjectsAreNone breaks an_object_is_kept_under_its_cid,
    ObjectsForgetWhatTheyAre breaks an_object_keeps_what_it_was_first_said_to_be,
    ObjectsAreWhatWasSaidLast breaks an_object_keeps_what_it_was_first_said_to_be,
    ObjectsHaveTheTimeAtWhichTheyAreAskedFor breaks an_object_keeps_what_it_was_first_said_to_be,
    ObjectsHaveTheSizeOfTheirLastPiece breaks an_object_keeps_what_it_was_first_said_to_be,
    ObjectsAreWhateverIsAskedFor breaks an_object_keeps_what_it_was_first_said_to_be,
    ObjectsAreTexts breaks objects_that_look_alike_do_not_mix,
    EventsAreObjects breaks an_object_is_kept_under_its_cid,
    ReadersShareACheckpoint breaks a_checkpoint_is_kept_by_name,
    ReadersIgnoreTheCase breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersAreTrimmed breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersAreNormalised breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersAreCutAt64 breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersAreCutAt128 breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersEndAtANul breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersHaveUnderscores breaks any_text_names_a_reader_and_any_position_is_kept,
    ReadersAreNumbers breaks any_text_names_a_reader_and_any_position_is_kept,
    ACheckpointOfZeroIsNone breaks any_text_names_a_reader_and_any_position_is_kept,
    CheckpointsEndAtHalfTheRange breaks any_text_names_a_reader_and_any_position_is_kept,
    TheFirstCheckpointStays breaks a_checkpoint_is_kept_by_name,
    CheckpointsForgetTheEvent breaks a_checkpoint_of_another_history_is_an_error,
    CheckpointsKeepTheFirstEvent breaks a_checkpoint_keeps_the_event_at_its_position,
    CheckpointsOnlyRise breaks a_checkpoint_is_kept_by_name,
    CheckpointsAreFloats breaks any_text_names_a_reader_and_any_position_is_kept,
    CheckpointsHave32Bits breaks any_text_names_a_reader_and_any_position_is_kept,

    // Handles.
    ADroppedHandleClosesTheStore breaks a_handle_that_is_dropped_takes_nothing_with_it,
    ItForgetsWhenAllHandlesAreGone breaks a_handle_that_is_dropped_takes_nothing_with_it,
    EachHandleHasObjectsOfItsOwn breaks an_object_is_kept_under_its_cid,
    EachHandleHasCheckpointsOfItsOwn breaks a_checkpoint_is_kept_by_name,
    EachHandleHasSnapshotsOfItsOwn breaks the_newest_snapshot_of_a_tag_is_kept,

    // Branches that are replaced.
    ABranchIsTakenOutAndNothingTakesItsPlace breaks a_replaced_branch_gives_way_to_the_other,
    ABranchIsReplacedWithoutItsFirstCommit breaks
        branches_of_several_aggregates_are_replaced_together,
    WhatIsTakenOutIsLost breaks a_replaced_branch_stays_readable_by_cid,
    ABookmarkIsANumberBehindABranch breaks a_bookmark_behind_a_replaced_event_is_noticed,
    /// A follower goes on by the number of the last event that it was given.
    FollowersAreNotToldOfABranch breaks who_follows_while_a_branch_is_replaced_is_told,
    /// A history is read event by event, whatever becomes of it.
    AHistoryIsOfTwoBranches breaks a_history_that_is_read_is_of_one_branch,
    ABranchMayBeOld breaks branches_that_do_not_fit_are_refused,
    OnlyTheFirstBranchIsReplaced breaks branches_of_several_aggregates_are_replaced_together,
    ABranchIsReplacedOnce breaks a_branch_is_replaced_again_and_by_nothing,
    /// A message of what was taken out is answered with that.
    MessagesOutliveABranch breaks a_repository_goes_on_from_what_took_the_place,
}
