//! The table of the promises.

/// Writes one `#[test]` for each promise of the contract; the expression makes a new
/// [`Provider`](crate::testing::contract::Provider).
///
/// A store of snapshots, objects and checkpoints without events of its own takes `contract_tests!(kept, …)`: the promises
/// about those alone. Their names stand at [`PROMISES`](crate::testing::contract::PROMISES).
///
/// One that can be kept level with a stream, which is a [`SyncState`](crate::store::SyncState) too, takes
/// `contract_tests!(sync_state, …)` beside.
#[macro_export]
macro_rules! contract_tests {
    (kept, $provider:expr $(,)?) => {
        $crate::contract_tests! { @table @kept_tests $provider; }
    };
    (sync_state, $provider:expr $(,)?) => {
        $crate::contract_tests! { @tests $provider;
            a_value_is_kept_by_name,
            changes_are_made_together,
            values_are_listed_by_the_beginning_of_their_names,
            one_at_a_time_claims_what_is_known,
        }
    };
    ($provider:expr $(,)?) => {
        $crate::contract_tests! { @table @all_tests $provider; }
    };
    (@table $($use:tt)*) => {
        $crate::contract_tests! { $($use)*
            events {
                appended_events_come_back_as_they_were_written,
                an_event_carries_its_place_its_predecessor_and_its_cause,
                a_commit_has_one_time_and_counts_its_events,
                meta_stands_in_each_event_of_a_commit,
                time_never_goes_back_within_an_aggregate,
                causal_parents_are_kept_sorted_and_once,
                an_event_that_causes_a_commit_is_a_parent_in_each_aggregate,
                a_payload_comes_back_byte_by_byte,
                any_time_comes_back_to_the_microsecond,
                any_text_is_an_actor,
                any_value_is_meta,
                large_versions_many_parents_and_empty_payloads_are_kept,
                what_can_be_no_subject_is_refused,
                equal_events_are_several_events,
                a_commit_that_is_not_well_formed_is_refused,
                a_payload_that_is_not_canonical_stores_nothing,
                a_payload_past_the_limit_stores_nothing,
                any_appends_to_whatever_is_there,
                no_stream_refuses_an_aggregate_that_has_events,
                exactly_refuses_every_other_version,
                a_head_of_another_history_is_a_conflict,
                a_commit_over_several_aggregates_is_all_or_nothing,
                every_aggregate_of_a_commit_is_guarded,
                many_aggregates_are_guarded_as_one_is,
                of_writers_that_expect_one_version_one_wins,
                concurrent_writers_with_an_expected_version_lose_nothing,
                concurrent_writers_with_any_version_lose_nothing,
                concurrent_commits_over_two_aggregates_stay_whole,
                two_handles_on_the_same_data_lose_nothing,
                a_commit_keeps_the_order_of_events_that_alternate,
                a_commit_of_the_most_events_is_stored_whole,
                a_long_history_reads_whole,
                large_events_come_whole_wherever_they_stand,
                events_that_fill_a_megabyte_are_read_whole,
                any_event_of_a_long_history_is_found,
                reading_gives_all_at_every_number_of_events,
                nobody_sees_a_part_of_a_commit,
                an_append_that_is_given_up_is_whole_or_not_there,
                a_refused_commit_leaves_no_trace,
                two_kinds_with_one_id_do_not_mix,
                kinds_that_look_alike_do_not_mix,
                types_of_events_that_look_alike_do_not_mix,
                any_text_is_an_id_and_no_two_of_them_mix,
                the_kinds_under_an_id_are_told,
                the_kinds_under_ids_that_look_alike_do_not_mix,
                a_history_reads_from_any_version,
                the_last_event_is_the_last,
                an_event_is_found_by_its_cid,
                every_way_to_an_event_leads_to_the_same,
                events_of_a_type_come_in_order_after_a_position_up_to_a_limit,
                reading_all_gives_every_event_once_and_ends,
                reading_all_starts_after_any_position,
                a_bookmark_of_another_history_is_an_error,
                a_checkpoint_of_another_history_is_an_error,
                the_last_position_is_that_of_the_last_event,
                reading_all_ends_while_others_write,
                a_history_ends_while_others_write,
                another_handle_sees_what_was_written,
                handles_write_in_turn,
                a_handle_that_is_dropped_takes_nothing_with_it,
                a_subscription_gives_what_was_and_what_comes,
                a_subscription_starts_after_a_position,
                a_subscription_misses_nothing_under_concurrent_writers,
                a_subscription_that_lags_loses_and_repeats_nothing,
                a_subscription_goes_on_where_the_past_ends,
                subscriptions_made_while_others_write_miss_nothing,
                a_subscription_follows_another_handle,
                a_selection_gives_what_it_says_and_no_more,
                the_partitions_together_are_everything,
                a_selection_over_many_pages_is_whole,
                a_followed_selection_gives_what_was_and_what_comes,
                a_selection_of_nothing_is_an_error,
                a_history_has_two_bounds,
                an_event_is_found_in_its_aggregate,
                sealed_commits_are_stored_as_they_are,
                sealed_commits_that_are_there_are_passed_over,
                what_was_proved_is_stored_as_what_was_sealed,
                a_sealed_commit_twice_in_a_list_is_stored_once,
                a_sealed_commit_of_another_branch_is_told,
                a_sealed_commit_without_its_predecessor_is_refused,
                what_is_no_whole_commit_is_refused,
                racing_imports_store_each_commit_once,
                what_is_said_of_a_list_that_is_not_stored_whole_is_so,
                an_import_and_a_writer_never_both_win,
                of_two_branches_that_come_at_once_one_wins,
                what_is_sealed_wrongly_is_refused,
                a_sealed_commit_with_another_past_is_refused,
                a_sealed_payload_past_the_limit_is_refused,
                a_sealed_commit_keeps_the_order_of_events_that_alternate,
                a_sealed_commit_of_the_most_events_is_stored_whole,
                what_was_sealed_elsewhere_is_followed_and_found,
                nobody_sees_a_part_of_a_sealed_commit,
                an_import_that_is_given_up_is_whole_or_not_there,
                commands_go_on_from_what_was_sealed_elsewhere,
                blocks_of_another_hash_are_stored_as_they_are,
                an_append_takes_effect_once,
                an_append_over_several_aggregates_takes_effect_once,
                a_message_with_another_commit_is_refused,
                a_new_message_is_stored_whatever_its_id,
                racing_repeats_store_one_commit,
                a_command_takes_effect_once,
                several_commands_are_one_commit,
                of_several_commands_all_take_effect_or_none,
                a_message_id_that_another_command_used_is_refused,
                events_of_a_subject_come_typed_and_in_order,
                all_aggregates_of_a_kind_are_loaded_at_once,
                a_command_takes_effect_once_past_a_snapshot_and_a_restart,
                a_conflict_decides_again_on_the_newer_history,
                without_retries_the_conflict_is_the_answer,
                a_refusal_on_a_stale_aggregate_is_confirmed_first,
                an_acceptance_without_change_is_confirmed_first,
                an_undeclared_event_stores_nothing,
                a_command_without_an_edge_is_refused,
                a_snapshot_plus_the_rest_is_the_whole,
                a_snapshot_that_does_not_fit_is_ignored,
                an_aggregate_loads_as_it_was,
                repositories_on_two_handles_share_an_aggregate,
                a_unique_name_has_one_holder,
                a_commit_carries_what_it_changes_about_names,
                what_is_known_of_names_is_what_the_store_says,
                a_name_that_another_has_reserved_is_not_released,
                a_scope_that_is_no_token_is_refused,
                racing_writers_never_share_a_name,
                of_writers_that_claim_one_name_one_wins,
                clones_of_a_handle_are_one_store,
                several_aggregates_are_one_commit_that_takes_effect_once,
                a_refusal_on_one_of_several_aggregates_stores_nothing,
                a_conflict_on_one_of_several_aggregates_decides_all_again,
                several_aggregates_that_do_not_change_store_nothing,
                unique_names_hold_over_several_aggregates_and_pass_on,
                an_aggregate_that_is_looked_at_guards_the_commit,
                of_two_that_look_at_each_other_one_gives_way,
                an_unchanged_aggregate_is_guarded_in_every_place,
                another_kind_with_the_id_of_an_unchanged_aggregate_may_move,
                two_kinds_with_one_id_are_guarded_each_by_itself,
                racing_writers_that_look_at_each_other_never_both_win,
                a_replaced_branch_gives_way_to_the_other,
                a_replaced_branch_stays_readable_by_cid,
                a_bookmark_behind_a_replaced_event_is_noticed,
                who_follows_while_a_branch_is_replaced_is_told,
                a_history_that_is_read_is_of_one_branch,
                branches_that_do_not_fit_are_refused,
                branches_of_several_aggregates_are_replaced_together,
                a_branch_is_replaced_again_and_by_nothing,
                a_repository_goes_on_from_what_took_the_place,
            }
            kept {
                the_newest_snapshot_of_a_tag_is_kept,
                a_snapshot_comes_back_as_it_was_kept,
                an_object_is_kept_under_its_cid,
                objects_that_look_alike_do_not_mix,
                an_object_keeps_what_it_was_first_said_to_be,
                a_checkpoint_is_kept_by_name,
                a_checkpoint_keeps_the_event_at_its_position,
                any_text_names_a_reader_and_any_position_is_kept,
            }
        }
    };
    (@all_tests $provider:expr; events { $($event:ident,)* } kept { $($kept:ident,)* }) => {
        $crate::contract_tests! { @tests $provider; $($event,)* $($kept,)* }
    };
    (@kept_tests $provider:expr; events { $($event:ident,)* } kept { $($kept:ident,)* }) => {
        $crate::contract_tests! { @tests $provider; $($kept,)* }
    };
    (@tests $provider:expr; $($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testing::contract::run(async {
                    $crate::testing::contract::promises::$name($provider).await;
                });
            }
        )*
    };
    (@names events { $($event:ident,)* } kept { $($kept:ident,)* }) => {
        /// The promises, by name: those of the events, of what is decided on them, and of what is kept beside them.
        ///
        $(#[doc = concat!("- `", stringify!($event), "`")])*
        $(#[doc = concat!("- `", stringify!($kept), "`")])*
        pub const PROMISES: &[&str] = &[$(stringify!($event),)* $(stringify!($kept),)*];

        /// Tries one promise on a store, by its name: for a store that cannot keep all of them yet.
        ///
        /// # Panics
        /// When the store breaks the promise, and for a name that is not among the [`PROMISES`].
        pub async fn prove(promise: &str, provider: impl super::Provider) {
            match promise {
                $(stringify!($event) => Box::pin(super::promises::$event(provider)).await,)*
                $(stringify!($kept) => Box::pin(super::promises::$kept(provider)).await,)*
                other => panic!("there is no promise `{other}`: PROMISES lists them"),
            }
        }
    };
}

contract_tests! { @table @names }
