//! The promises of [`JobQueue`].

mod bench;

pub mod admin;
pub mod batches;
pub mod cancelling;
pub mod claims;
pub mod durable;
pub mod enqueuing;
pub mod faults;
pub mod leases;
pub mod model;
pub mod scale;
pub mod settling;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::LocalBoxFuture;

use super::Scale;
use crate::queue::{JobQueue, Retention};

/// Makes queues for the suite.
#[async_trait]
pub trait QueueFixture: Send + Sync {
    /// A new, empty queue that shares nothing with those made before.
    async fn queue(&self, retention: Retention) -> Arc<dyn JobQueue>;

    /// Lets this much time pass by the clock of all its stores. It need not take any time.
    async fn advance(&self, span: Duration);

    /// Opens the store of the queue that was made last once more, as another process would after
    /// the first was killed. None: what is in it does not outlive its process.
    async fn reopen(&self) -> Option<Arc<dyn JobQueue>> {
        None
    }

    /// Sets the wall clock of the machine an hour forward or back, where the store could notice;
    /// no time passes by that. A store whose clock is no wall clock does nothing.
    async fn jump_wall_clock(&self, forward: bool) {
        let _ = forward;
    }

    /// How large the large cases are.
    fn scale(&self) -> Scale {
        Scale::small()
    }

    /// How many random sequences are compared with the model.
    fn model_cases(&self) -> u32 {
        24
    }
}

/// A case: panics if the queue breaks the promise.
pub type Case = for<'a> fn(&'a dyn QueueFixture) -> LocalBoxFuture<'a, ()>;

/// All cases by name.
pub const CASES: &[(&str, Case)] = crate::job_queue_suite!(@each conformance_list ());

/// The case with this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn case(name: &str) -> Case {
    crate::testing::find(CASES, name)
}

/// Expands to one `#[test]` per promise of [`JobQueue`].
///
/// The expression makes a [`QueueFixture`] for one test; it
/// may `.await`.
///
/// ```
/// # use story_checker_core::testing::InMemoryFixture;
/// mod queue_in_memory {
///     # use story_checker_core::testing::InMemoryFixture;
///     story_checker_core::job_queue_suite!(InMemoryFixture::new());
/// }
/// ```
#[macro_export]
macro_rules! job_queue_suite {
    (@each $apply:ident $args:tt) => {
        $crate::$apply! { $args queue
            enqueuing {
                the_same_id_is_inserted_once
                a_live_key_is_taken
                an_ended_job_gives_its_key_back
                racing_twins_are_inserted_once
                a_full_queue_takes_no_more
                a_job_keeps_its_past
                an_ended_past_takes_no_room_and_no_key
                too_many_items_are_refused
            }
            claims {
                an_empty_queue_gives_nothing
                payloads_come_back_as_they_were
                a_leased_job_is_hidden
                a_claim_takes_what_it_wants
                a_claim_takes_no_more_than_the_most
                priority_comes_first
                jobs_of_one_batch_come_in_order
                batches_take_turns
                nothing_is_claimed_before_it_is_due
                the_next_due_time_is_told
                hopeless_jobs_are_claimed_due_or_not
                racing_claims_never_share_a_job
                waiting_ends_at_once_with_a_due_job
                waiting_ends_with_a_new_job
                waiting_gives_up_in_time
            }
            leases {
                every_grant_raises_the_fence
                a_lease_that_is_over_is_freed
                freeing_stays_within_the_budget
                a_beat_keeps_the_lease
                a_beat_answers_for_each_lease
                a_crash_is_no_attempt
                jobs_of_a_lost_claim_come_back
                workers_are_known
                the_wall_clock_does_not_count
            }
            settling {
                a_stale_fence_changes_nothing
                a_settlement_sent_twice_says_so
                unknown_jobs_are_gone
                one_bad_settlement_spoils_nothing
                settling_and_claiming_in_one_call
                results_come_with_the_end
                a_retry_counts_an_attempt
                a_deferral_counts_apart
                a_release_counts_nothing
                put_off_jobs_are_not_claimed_early
            }
            cancelling {
                a_waiting_job_is_cancelled_at_once
                a_running_job_learns_by_the_beat
                a_cancelled_job_is_never_tried_again
                an_answer_beats_a_cancellation
                a_cancelled_job_that_crashes_ends
                dead_jobs_can_be_replayed
                a_replay_respects_the_key
                only_ended_jobs_are_deleted
            }
            batches {
                batch_counts_change_with_the_jobs
                batch_counts_outlive_the_jobs
                a_cancelled_batch_ends_at_once
                a_cancelled_batch_takes_no_more
                running_jobs_of_a_cancelled_batch_end
                a_cancelled_batch_can_be_lifted
                a_paused_batch_is_held_back
                batches_are_paged_by_id
                unknown_batches_are_refused
            }
            admin {
                a_paused_queue_is_held_back
                deadlines_can_be_moved
                changes_that_do_not_fit_are_refused
                looking_answers_in_order
                pages_have_no_gaps
                filters_select
                queue_counts_equal_a_recount
                retention_by_number_drops_the_oldest
                retention_by_age_drops_ended_jobs_only
                pruning_stays_within_the_budget
            }
            durable {
                a_reopened_store_has_everything
                fences_grow_over_a_restart
                leases_hold_over_a_restart
            }
            scale {
                many_leases_end_at_once
                many_ended_jobs_are_dropped
                many_jobs_become_due_at_once
            }
            faults {
                nothing_is_lost_with_the_replies
                calls_that_were_dropped_do_no_harm
            }
            model {
                any_sequence_agrees_with_the_model
            }
        }
    };
    ($fixture:expr) => {
        $crate::job_queue_suite! { @each conformance_tests ($fixture) }
    };
}
