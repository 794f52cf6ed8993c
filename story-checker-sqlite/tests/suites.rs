//! The conformance suites.

mod queue {
    use crate::fixture::Fixture;

    story_checker_core::job_queue_suite!(Fixture::new());
}
