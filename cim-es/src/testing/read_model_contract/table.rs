//! The table of the promises.

/// Writes one `#[test]` for each promise of the contract of read models; the expression makes a new
/// [`Provider`](crate::testing::read_model_contract::Provider).
///
/// Their names stand at [`PROMISES`](crate::testing::read_model_contract::PROMISES).
#[macro_export]
macro_rules! read_model_contract_tests {
    ($provider:expr $(,)?) => {
        $crate::read_model_contract_tests! { @table @tests $provider; }
    };
    (@table $($use:tt)*) => {
        $crate::read_model_contract_tests! { $($use)*
            a_commit_writes_documents_index_and_position_together,
            a_commit_of_no_document_moves_the_position,
            a_commit_from_another_place_changes_nothing,
            a_commit_that_is_not_well_formed_changes_nothing,
            of_commits_from_one_place_one_wins,
            nobody_sees_a_part_of_a_commit,
            an_answer_is_as_far_as_it_says,
            a_commit_that_is_given_up_is_whole_or_not_there,
            many_documents_are_one_commit,
            another_handle_sees_what_was_committed,
            any_position_is_kept,
            a_document_comes_back_as_it_was_written,
            the_last_value_of_a_document_stays,
            any_text_is_a_key_and_no_two_of_them_mix,
            documents_are_read_in_the_order_of_the_keys_that_are_asked_for,
            documents_are_found_by_each_index_entry,
            index_entries_go_with_their_document,
            any_text_is_an_index_value_and_no_two_of_them_mix,
            a_found_page_goes_on_behind_its_last_key,
            a_list_is_in_the_order_of_its_keys,
            a_list_stays_right_while_others_write,
            a_view_has_one_holder_at_a_time,
            a_hold_ends_with_its_lease_or_when_it_is_released,
            only_the_holder_commits,
            of_those_who_ask_for_a_view_at_once_one_holds_it,
            a_view_is_opened_as_it_was_made,
            another_declaration_of_a_version_is_refused,
            views_do_not_mix,
            a_version_is_built_again_beside_its_former_build,
            where_a_view_stands_still_and_what_it_passed_over_is_kept,
            one_version_serves_at_a_time,
            a_removed_view_is_gone_and_begins_anew,
            a_view_that_is_not_there_is_an_error,
        }
    };
    (@tests $provider:expr; $($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testing::read_model_contract::run(async {
                    $crate::testing::read_model_contract::promises::$name($provider).await;
                });
            }
        )*
    };
    (@names $($name:ident,)*) => {
        /// The promises, by name.
        ///
        $(#[doc = concat!("- `", stringify!($name), "`")])*
        pub const PROMISES: &[&str] = &[$(stringify!($name),)*];

        /// Tries one promise on a storage, by its name: for a storage that cannot keep all of them yet.
        ///
        /// # Panics
        /// When the storage breaks the promise, and for a name that is not among the [`PROMISES`].
        pub async fn prove(promise: &str, provider: impl super::Provider) {
            match promise {
                $(stringify!($name) => Box::pin(super::promises::$name(provider)).await,)*
                other => panic!("there is no promise `{other}`: PROMISES lists them"),
            }
        }
    };
}

read_model_contract_tests! { @table @names }
