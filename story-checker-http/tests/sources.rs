//! Sources of proxies, and the probe.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use story_checker_core::proxy::{Probe, Proxy, ProxySource};
use story_checker_core::testing::proxies::ProxyFixture;
use story_checker_core::{ErrorKind, Scope};
use story_checker_http::proxies::{ProxyFile, ProxyListUrl, UrlProbe};
use story_checker_http::{ReqwestTransport, ReqwestTransportConfig, Transport, Url};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

const MOMENT: Duration = Duration::from_millis(10);

fn transport() -> Arc<dyn Transport> {
    Arc::new(ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap())
}

/// A list as its owner writes it: each name once.
fn text(proxies: &[Proxy]) -> String {
    let mut names = HashSet::new();
    let mut text = "# ours\n".to_owned();
    for proxy in proxies.iter().filter(|proxy| names.insert(proxy.id().clone())) {
        let (scheme, address) = proxy.id().as_str().split_once("://").unwrap();
        let credentials = proxy.url().credentials().map(|(user, password)| {
            format!("{}:{}@", user.expose(), password.expose().replace('@', "%40"))
        });
        text += &format!("{scheme}://{}{address}\n", credentials.unwrap_or_default());
    }
    text
}

mod file {
    use super::*;

    struct Files(tempfile::TempDir, Mutex<usize>);

    impl Files {
        fn path(&self) -> PathBuf {
            self.0.path().join(format!("proxies-{}", self.1.lock().unwrap()))
        }
    }

    #[async_trait]
    impl ProxyFixture for Files {
        async fn proxies(&self, proxies: Vec<Proxy>) -> Arc<dyn ProxySource> {
            *self.1.lock().unwrap() += 1;
            std::fs::write(self.path(), text(&proxies)).unwrap();
            Arc::new(ProxyFile::new(self.path()).with_look(MOMENT))
        }

        async fn replace(&self, proxies: Vec<Proxy>) -> bool {
            std::fs::write(self.path(), text(&proxies)).unwrap();
            true
        }

        fn keeps_states(&self) -> bool {
            false
        }
    }

    story_checker_core::proxy_source_suite!(Files(tempfile::tempdir().unwrap(), Mutex::new(0)));

    #[tokio::test]
    async fn a_broken_file_is_told_once_with_its_line_and_a_whole_one_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxies");
        let source = ProxyFile::new(&path).with_look(MOMENT);
        assert_eq!(source.list().await.unwrap_err().kind(), ErrorKind::Unavailable);
        for (text, what) in [("a:1\nPLANTED@\n", "line 2"), ("", "no proxy in the list")] {
            std::fs::write(&path, text).unwrap();
            source.changed().await.unwrap();
            let error = source.list().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let error = error.to_string();
            assert!(error.contains(what) && !error.contains("PLANTED"), "{error}");
            let again = tokio::time::timeout(MOMENT * 5, source.changed()).await;
            assert!(again.is_err(), "nothing has changed since");
        }
        std::fs::write(&path, "a:1\nb:1\n").unwrap();
        source.changed().await.unwrap();
        assert_eq!(source.list().await.unwrap().len(), 2);
    }
}

mod list {
    use super::*;

    struct Lists(MockServer);

    impl Lists {
        async fn serve(&self, text: String) {
            self.0.reset().await;
            let answer = ResponseTemplate::new(200).set_body_string(text);
            Mock::given(method("GET")).respond_with(answer).mount(&self.0).await;
        }
    }

    #[async_trait]
    impl ProxyFixture for Lists {
        async fn proxies(&self, proxies: Vec<Proxy>) -> Arc<dyn ProxySource> {
            self.serve(text(&proxies)).await;
            let url = Url::parse(&self.0.uri()).unwrap();
            Arc::new(ProxyListUrl::new(transport(), url, MOMENT))
        }

        async fn replace(&self, proxies: Vec<Proxy>) -> bool {
            self.serve(text(&proxies)).await;
            true
        }

        fn keeps_states(&self) -> bool {
            false
        }
    }

    story_checker_core::proxy_source_suite!(Lists(MockServer::start().await));

    #[tokio::test]
    async fn an_unchanged_list_is_not_sent_again_and_a_bad_answer_leaves_the_good_one() {
        let server = MockServer::start().await;
        let url = Url::parse(&format!("{}/PLANTED?key=PLANTED", server.uri())).unwrap();
        let source = ProxyListUrl::new(transport(), url, MOMENT);
        let list = ResponseTemplate::new(200).set_body_string("a:1").insert_header("etag", "\"1\"");
        Mock::given(method("GET")).respond_with(list).up_to_n_times(1).mount(&server).await;
        assert_eq!(source.list().await.unwrap().len(), 1);
        Mock::given(header("if-none-match", "\"1\""))
            .respond_with(ResponseTemplate::new(304))
            .mount(&server)
            .await;
        assert_eq!(source.list().await.unwrap().len(), 1);
        for (status, body, kind) in
            [(500, "a:1\nb:1", ErrorKind::Unavailable), (200, "PLANTED@", ErrorKind::Invalid)]
        {
            server.reset().await;
            let answer = ResponseTemplate::new(status).set_body_string(body);
            Mock::given(method("GET")).respond_with(answer).mount(&server).await;
            let error = source.changed().await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(!format!("{error} {error:?} {source:?}").contains("PLANTED"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_probe_tells_a_bad_proxy_from_a_bad_address() {
    let server = MockServer::start().await;
    let proxy = |address: &str| Arc::new(Proxy::new(address.parse().unwrap()));
    // A server that answers whoever asks is a proxy as well.
    let through = proxy(&server.uri());
    let url = Url::parse("http://probe.test/").unwrap();
    let probe = UrlProbe::new(transport(), url, Duration::from_secs(30));
    for (status, scope) in
        [(204, None), (200, None), (503, Some(Scope::Endpoint)), (407, Some(Scope::Proxy))]
    {
        server.reset().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let result = probe.probe(&through).await;
        assert_eq!(result.err().map(|fault| fault.scope), scope, "{status}");
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = probe.probe(&proxy(&gone.to_string())).await.unwrap_err();
    assert_eq!(fault.scope, Scope::Proxy);
}
