//! The conformance suites.

mod queue {
    use crate::fixture::Fixture;

    story_checker_core::job_queue_suite!(Fixture::new());
}

mod sessions {
    use crate::fixture::Fixture;

    story_checker_core::session_store_suite!(Fixture::new());
}

mod proxies {
    use crate::fixture::Fixture;

    story_checker_core::proxy_source_suite!(Fixture::new());
}

mod cache {
    use crate::fixture::Fixture;

    story_checker_core::cache_suite!(Fixture::new());
}
