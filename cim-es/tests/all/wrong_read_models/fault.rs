//! What may be wrong with a storage of read models, and the promise that it breaks.

/// Declares the faults with the promise that each of them breaks.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident breaks $promise:ident,)*) => {
        /// What is wrong with a storage.
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
    // The commit.
    TheLastDocumentIsLost breaks a_commit_writes_documents_index_and_position_together,
    DocumentsAreWrittenWithoutTheirPosition breaks a_commit_writes_documents_index_and_position_together,
    ThePositionIsWrittenWithoutDocuments breaks a_commit_writes_documents_index_and_position_together,
    /// It answers before others see the commit.
    AcknowledgedBeforeItIsSeen breaks a_commit_writes_documents_index_and_position_together,
    ACommitOfNothingIsDropped breaks a_commit_of_no_document_moves_the_position,
    WhereItGoesOnFromIsNotCompared breaks a_commit_from_another_place_changes_nothing,
    OnlyTheNumberIsCompared breaks a_commit_from_another_place_changes_nothing,
    ARefusedCommitLeavesItsDocuments breaks a_commit_from_another_place_changes_nothing,
    AnythingIsACommit breaks a_commit_that_is_not_well_formed_changes_nothing,
    /// The place is compared first, and written later.
    ThePlaceIsLookedAtBefore breaks of_commits_from_one_place_one_wins,
    ACommitIsSeenInTwoHalves breaks nobody_sees_a_part_of_a_commit,
    ThePositionIsWrittenFirst breaks nobody_sees_a_part_of_a_commit,
    ThePositionOfAnAnswerIsReadAfterIt breaks nobody_sees_a_part_of_a_commit,
    AnswersSayALaterPosition breaks an_answer_is_as_far_as_it_says,
    AnAnswerOfNothingIsAtTheStart breaks an_answer_is_as_far_as_it_says,
    ACommitIsStoredBitByBit breaks a_commit_that_is_given_up_is_whole_or_not_there,
    DocumentsPastAThousandAreDropped breaks many_documents_are_one_commit,
    EachHandleHasViewsOfItsOwn breaks another_handle_sees_what_was_committed,
    PositionsHave32Bits breaks any_position_is_kept,
    PositionsAreFloats breaks any_position_is_kept,
    PositionsEndAtHalfTheRange breaks any_position_is_kept,
    TheEventAtThePositionIsForgotten breaks any_position_is_kept,

    // Documents.
    EmptyDocumentsAreNone breaks a_document_comes_back_as_it_was_written,
    DocumentsAreTexts breaks a_document_comes_back_as_it_was_written,
    DocumentsAreCut breaks a_document_comes_back_as_it_was_written,
    NothingIsEverRemoved breaks the_last_value_of_a_document_stays,
    TheFirstValueStays breaks the_last_value_of_a_document_stays,
    KeysIgnoreTheCase breaks any_text_is_a_key_and_no_two_of_them_mix,
    KeysAreTrimmed breaks any_text_is_a_key_and_no_two_of_them_mix,
    KeysEndAtANul breaks any_text_is_a_key_and_no_two_of_them_mix,
    KeysAreCutAt128 breaks any_text_is_a_key_and_no_two_of_them_mix,
    KeysAreNormalised breaks any_text_is_a_key_and_no_two_of_them_mix,
    KeysHaveUnderscores breaks any_text_is_a_key_and_no_two_of_them_mix,
    DocumentsComeInTheOrderOfTheirKeys breaks
        documents_are_read_in_the_order_of_the_keys_that_are_asked_for,
    DocumentsThatAreNotThereAreLeftOut breaks
        documents_are_read_in_the_order_of_the_keys_that_are_asked_for,

    // Index entries.
    TheLastEntryIsForgotten breaks documents_are_found_by_each_index_entry,
    OneEntryAFieldIsKept breaks documents_are_found_by_each_index_entry,
    EntriesHaveNoField breaks documents_are_found_by_each_index_entry,
    EntriesAreFoundByTheirStart breaks documents_are_found_by_each_index_entry,
    FormerEntriesStay breaks index_entries_go_with_their_document,
    ValuesIgnoreTheCase breaks any_text_is_an_index_value_and_no_two_of_them_mix,
    ValuesAreCutAt255 breaks any_text_is_an_index_value_and_no_two_of_them_mix,
    EmptyValuesAreNotFound breaks any_text_is_an_index_value_and_no_two_of_them_mix,
    AFoundPageEndsWhereItsCursorIsGone breaks a_found_page_goes_on_behind_its_last_key,
    AFoundPageBeginsAnewWhereItsCursorIsGone breaks a_found_page_goes_on_behind_its_last_key,

    // Lists.
    TheListIsWithoutCase breaks a_list_is_in_the_order_of_its_keys,
    EachPageSkipsOne breaks a_list_is_in_the_order_of_its_keys,
    EachPageRepeatsOne breaks a_list_is_in_the_order_of_its_keys,
    PagesHaveNoLimit breaks a_list_is_in_the_order_of_its_keys,
    AFullPageAlwaysGoesOn breaks a_list_is_in_the_order_of_its_keys,
    TheCursorIsANumber breaks a_list_stays_right_while_others_write,

    // Holds.
    AnybodyHolds breaks a_view_has_one_holder_at_a_time,
    AHoldIsNotProlonged breaks a_view_has_one_holder_at_a_time,
    AnybodyReleases breaks a_hold_ends_with_its_lease_or_when_it_is_released,
    ReleasingDoesNothing breaks a_hold_ends_with_its_lease_or_when_it_is_released,
    ALeaseNeverEnds breaks a_hold_ends_with_its_lease_or_when_it_is_released,
    TwoHoldersCommit breaks only_the_holder_commits,
    /// Who holds is looked at first, and written later.
    TheHolderIsLookedAtBefore breaks of_those_who_ask_for_a_view_at_once_one_holds_it,

    // Views.
    OpeningBeginsAnew breaks a_view_is_opened_as_it_was_made,
    WhatIsSettledIsLost breaks a_view_is_opened_as_it_was_made,
    FingerprintsAreNotCompared breaks another_declaration_of_a_version_is_refused,
    FingerprintsHave32Bits breaks another_declaration_of_a_version_is_refused,
    NamesHaveUnderscores breaks views_do_not_mix,
    NamesAreFoundByTheirStart breaks views_do_not_mix,
    BuildsOfAVersionAreOne breaks a_version_is_built_again_beside_its_former_build,
    AFormerBuildGoesWithTheNext breaks a_version_is_built_again_beside_its_former_build,
    VersionsAreInTheOrderOfTexts breaks views_do_not_mix,
    AViewStaysParked breaks where_a_view_stands_still_and_what_it_passed_over_is_kept,
    WhereItIsParkedIsForgotten breaks where_a_view_stands_still_and_what_it_passed_over_is_kept,
    TheLastSkippedReplacesTheOthers breaks
        where_a_view_stands_still_and_what_it_passed_over_is_kept,
    TwoVersionsServe breaks one_version_serves_at_a_time,
    NoneServesForAMoment breaks one_version_serves_at_a_time,
    TheFirstVersionServesByItself breaks one_version_serves_at_a_time,
    NothingIsRemoved breaks a_removed_view_is_gone_and_begins_anew,
    AllVersionsAreRemoved breaks a_removed_view_is_gone_and_begins_anew,
    AnUnknownViewIsEmpty breaks a_view_that_is_not_there_is_an_error,
}
