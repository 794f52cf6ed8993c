//! What fuzzing starts from: answers of the simulated platform, and files as people have them.

use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use http::{HeaderMap, HeaderValue, Method, Uri};
use story_checker_sim::{
    AccountScript, GraphSettings, Peer, Platform, Request, ScriptedStory, SimConfig, Timestamp,
    XAccountScript, XMedia, XScriptedPost, XSettings, rows,
};

use crate::court::{ID, Input, NAME, NOW, X_ID};

/// Names the folder that seeds are written to; without it none are.
const FOLDER: &str = "STORY_CHECKER_FUZZ_SEEDS";

/// Writes the seeds of a target, if the environment says where.
///
/// # Panics
/// If they cannot be written.
pub fn plant(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = env::var_os(FOLDER) else { return };
    for (number, seed) in seeds().into_iter().enumerate() {
        let file = Path::new(&folder).join(format!("seed-{number:03}"));
        fs::write(file, seed).expect("the folder of the seeds can be written to");
    }
}

/// Answers of Instagram's web API: reels (0), profiles (1), the viewer (2).
pub fn web() -> Vec<Vec<u8>> {
    let platform = platform();
    let cookies = platform.session_credentials(0).expect("there is a session");
    let cookies = cookies.map(|(name, value)| format!("{name}={value}")).join("; ");
    let headers = [("x-ig-app-id", "936619743392459"), ("cookie", &*cookies)];
    let mut seeds = Vec::new();
    let mut ask = |request, path: &str| {
        let (status, body) = get(&platform, path, &headers);
        seeds.push(Input { request, status, body: &body }.to_bytes());
    };
    ask(0, &format!("/api/v1/feed/reels_media/?reel_ids={ID}"));
    ask(0, &format!("/api/v1/feed/reels_media/?reel_ids={ID}&reel_ids=4200000002"));
    for number in 0..6 {
        ask(0, &format!("/api/v1/feed/reels_media/?reel_ids=420000000{number}"));
        ask(1, &format!("/api/v1/users/web_profile_info/?username=acct_00000{number}"));
    }
    ask(2, "/graphql/query/?query_hash=d6f4427fbe92d846298cf93df0b937d3&variables=%7B%7D");
    seeds.extend(catalogue("W", 3));
    seeds
}

/// Answers of the Graph API about an account's own stories.
pub fn graph() -> Vec<Vec<u8>> {
    let platform = platform();
    let fields =
        "id,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username";
    let stories = |index| {
        let token = platform.graph_token(index).expect("there are tokens");
        let bearer = format!("Bearer {}", token.access_token);
        let path = format!("/v25.0/{}/stories?fields={fields}", token.ig_user_id);
        let (status, body) = get(&platform, &path, &[("authorization", &bearer)]);
        Input { request: 0, status, body: &body }.to_bytes()
    };
    (0..6).map(stories).chain(catalogue("G", 1)).collect()
}

/// Answers of X: posts of an account (0), and accounts (1).
pub fn x() -> Vec<Vec<u8>> {
    let platform = platform();
    let bearer = format!("Bearer {}", platform.x_token(0).expect("there is a token"));
    let mut seeds = Vec::new();
    let mut ask = |request, path: &str| {
        let (status, body) = get(&platform, path, &[("authorization", &bearer)]);
        seeds.push(Input { request, status, body: &body }.to_bytes());
    };
    for id in [X_ID, "700000000", "700000002", "700000003"] {
        ask(
            0,
            &format!(
                "/2/users/{id}/tweets?max_results=100&expansions=attachments.media_keys\
                 &tweet.fields=created_at,author_id,attachments&start_time=2026-11-20T11:59:00Z\
                 &media.fields=media_key,type,url,preview_image_url,variants,width,height,duration_ms"
            ),
        );
    }
    ask(1, &format!("/2/users/by?usernames={NAME}&user.fields=protected"));
    ask(1, "/2/users/by?usernames=acct_000002,acct_000003,nobody&user.fields=protected");
    seeds.extend(catalogue("X", 2));
    seeds
}

/// Session files of every format that has one.
pub fn imports() -> Vec<Vec<u8>> {
    let texts = [
        "# Netscape HTTP Cookie File\n#HttpOnly_.instagram.com\tTRUE\t/\tTRUE\t1826787600\tsessionid\t42%3Aa%3A1\n.instagram.com\tTRUE\t/\tTRUE\t0\tcsrftoken\tb\n",
        r#"[{"name":"sessionid","value":"42%3Aa%3A1","domain":".instagram.com","path":"/","expirationDate":1826787600.2},{"name":"mid","value":"b","domain":"www.instagram.com","expires":-1}]"#,
        r#"{"cookies":[{"name":"sessionid","value":"42%3Aa%3A1","domain":".instagram.com"}],"origins":[]}"#,
        r#"{"sessionid":"42%3Aa%3A1","ds_user_id":42,"mid":""}"#,
        r#"{"uuids":{"uuid":"x"},"mid":"a","ig_u_rur":"b,1","ig_www_claim":"c","authorization_data":{"ds_user_id":"42","sessionid":"42%3Aa%3A1"},"cookies":{"csrftoken":"d"},"user_agent":"App"}"#,
        "42%3Aa%3A1%3Acookie-value\nsessionid=a; mid=b\ngraph:tea_house:42:token\nx:token\n",
        r#"[{"access_token":"a","ig_user_id":"42","username":"b","issued_at":1795251600,"expires_in":60},{"bearer_token":"c"}]"#,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(pickles()).collect()
}

/// Session files of instaloader, with protocols 2 and 4.
pub fn pickles() -> Vec<Vec<u8>> {
    let two = b"\x80\x02}q\x00(X\x09\x00\x00\x00sessionidq\x01X\x0a\x00\x00\x0042%3Aa%3A1bq\x02\
                X\x03\x00\x00\x00midq\x03h\x02u.";
    let four = b"\x80\x04\x95\x2a\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x09sessionid\x94\x8c\x0a\
                 42%3Aa%3A1b\x94\x8c\x03mid\x94h\x02\x8c\x00\x94\x8c\x01a\x94u.";
    let one = b"\x80\x02}X\x09\x00\x00\x00sessionidX\x01\x00\x00\x00bs.";
    vec![two.to_vec(), four.to_vec(), one.to_vec()]
}

/// Lists of proxies in the forms that sellers use.
pub fn proxy_lists() -> Vec<Vec<u8>> {
    let lists = [
        "# ours\nsocks5h://user:password@gate.example:1080\ngate.example:8080  # no password\n",
        "http://a.example:80\nhttps://u:p@b.example:443\nsocks5://[::1]:9\nsocks4a://c.example:1\n",
        "10.0.0.1:8080:user:password\nuser:password@10.0.0.2:8080\nuser:password:10.0.0.3:8080\n",
        "\u{feff}gate.example:7000:u-1:p\r\ngate.example:7000:u-2:p\r\n",
        "http://us%20er:p%40ss@xn--bcher-kva.example:3128/\n",
    ];
    lists.iter().map(|list| list.as_bytes().to_vec()).collect()
}

/// What the catalogue has for one platform, as an answer to each kind of request.
fn catalogue(platform: &'static str, requests: usize) -> impl Iterator<Item = Vec<u8>> {
    let rows = rows().filter(move |row| row.id.starts_with(platform));
    rows.enumerate().map(move |(number, row)| {
        let body = row.body.as_bytes();
        Input { request: number % requests, status: row.status, body }.to_bytes()
    })
}

/// A world in which the account that is asked about has stories and posts.
fn platform() -> Platform {
    let now = Timestamp::from_unix_secs(NOW.as_secs());
    let hour = Duration::from_secs(3_600);
    let (taken, ends) = (now.saturating_sub(hour), now.saturating_add(hour * 23));
    let config = SimConfig::new(7)
        .with_sessions(1)
        .with_graph(GraphSettings::new(6, now))
        .with_x(XSettings::new(1));
    let platform = Platform::new(config).expect("a valid configuration");
    let stories = [ScriptedStory::image(taken, ends), ScriptedStory::video(taken, ends)];
    platform.set_account(NAME, AccountScript::active(stories));
    let post = |text: &str| XScriptedPost::new(taken, text);
    let posts = [
        post("tea"),
        post("a pot").with_media(XMedia::Photo),
        post("steam").with_media(XMedia::Video),
    ];
    platform.set_x_account(NAME, XAccountScript::posting(posts));
    platform
}

fn get(platform: &Platform, path: &str, headers: &[(&'static str, &str)]) -> (u16, Vec<u8>) {
    let value = |text: &str| HeaderValue::from_str(text).expect("a header");
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, text)| (http::HeaderName::from_static(name), value(text)))
        .collect();
    let uri: Uri = path.parse().expect("a path");
    let now = Timestamp::from_unix_secs(NOW.as_secs());
    let peer = Peer::direct(([127, 0, 0, 1], 1).into());
    let plan = platform.handle(&Request::new(&Method::GET, &uri, &headers), now, &peer);
    (plan.status.as_u16(), plan.body.to_vec())
}
