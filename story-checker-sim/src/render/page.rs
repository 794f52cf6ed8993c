//! Pages, as far as programs read them: what they carry in their scripts.

use crate::accounts::Account;
use crate::hash;

/// The page that a browser begins with. It hands out the tokens of the queries; the first one only to
/// a session.
pub(crate) fn home_page(draw: u64, viewer: Option<u64>) -> String {
    let user = viewer.unwrap_or(0);
    let mut tokens = format!(
        r#"["LSD",[],{{"token":"{lsd:016x}"}},323],["CurrentUserInitialData",[],{{"IG_USER_EIMU":"{user}"}},270]"#,
        lsd = hash::mix(draw),
    );
    if viewer.is_some() {
        tokens += &format!(r#",["DTSGInitialData",[],{{"token":"NAc{draw:016x}:17"}},258]"#);
    }
    page(
        "Instagram",
        &format!(r#"{{"require":[["ServerJS","handle",null,[{{"define":[{tokens}]}}]]]}}"#),
    )
}

/// The page of a profile as a visitor without a session sees it. As on the real one, `id` is not the
/// id of the account, which is `pk`.
pub(crate) fn profile_page(account: &Account) -> String {
    let Account { name, id, key, .. } = account;
    let full_name = name.replace(['.', '_'], " ");
    let user = format!(
        concat!(
            r#"{{"__typename":"XIGPolarisUser","id":"1784{page_id:013}","pk":"{id}","#,
            r#""username":"{name}","full_name":"{full_name}","biography":"","#,
            r#""is_private":{private},"is_verified":false,"follower_count":{followers},"#,
            r#""following_count":{follows},"all_media_count":{posts},"#,
            r#""profile_pic_url":"https://cdn.sim.test/v/{id}_s150x150.jpg"}}"#,
        ),
        page_id = key % 10_000_000_000_000,
        id = id,
        name = name,
        full_name = full_name,
        private = account.is_private(),
        followers = hash::pair(*key, 20) % 100_000,
        follows = hash::pair(*key, 21) % 2_000,
        posts = hash::pair(*key, 22) % 5_000,
    );
    let result = format!(
        r#"{{"__bbox":{{"complete":true,"result":{{"data":{{"xig_user_by_username":{user}}},"extensions":{{"is_final":true}}}}}}}}"#
    );
    let script = format!(
        r#"{{"require":[["ScheduledServerJS","handle",null,[{{"__bbox":{{"require":[["RelayPrefetchedStreamCache","next",[],["adp_PolarisProfilePage",{result}]]]}}}}]]]}}"#
    );
    page(&format!("{full_name} (@{name}) &#8226; Instagram"), &script)
}

fn page(title: &str, script: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{title}</title></head><body><script type=\"application/json\" data-sjs>{script}</script></body></html>\n"
    )
}
