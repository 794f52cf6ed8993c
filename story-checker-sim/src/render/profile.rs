//! Profiles, by name and by id, and who am I.

use crate::accounts::{Account, AccountKind};
use crate::hash;

/// The answer to "who am I".
pub(crate) fn viewer(user: u64, username: &str) -> String {
    format!(r#"{{"data":{{"user":{{"id":"{user}","username":"{username}"}}}},"status":"ok"}}"#)
}

/// The answer about one profile.
pub(crate) fn profile(account: &Account) -> String {
    let Account { name, id, key, kind, .. } = account;
    let private = account.is_private();
    let followed = *kind == AccountKind::PrivateFollowed;
    let latest = account.visible().last().map_or(0, |story| story.taken_at.unix_secs());
    let followers = hash::pair(*key, 20) % 100_000;
    let follows = hash::pair(*key, 21) % 2_000;
    let posts = hash::pair(*key, 22) % 5_000;
    let full_name = name.replace(['.', '_'], " ");
    format!(
        concat!(
            r#"{{"data":{{"user":{{"biography":"","external_url":null,"#,
            r#""edge_followed_by":{{"count":{followers}}},"fbid":"1784{key:016}","#,
            r#""followed_by_viewer":{followed},"edge_follow":{{"count":{follows}}},"#,
            r#""follows_viewer":false,"full_name":"{full_name}","has_blocked_viewer":false,"#,
            r#""highlight_reel_count":0,"id":"{id}","is_business_account":false,"#,
            r#""is_private":{private},"is_verified":false,"latest_reel_media":{latest},"#,
            r#""profile_pic_url":"https://cdn.sim.test/v/{id}_s150x150.jpg","#,
            r#""requested_by_viewer":false,"username":"{name}","#,
            r#""edge_owner_to_timeline_media":{{"count":{posts},"edges":[]}}}}}},"status":"ok"}}"#,
        ),
        followers = followers,
        key = key % 10_000_000_000_000_000,
        followed = followed,
        follows = follows,
        full_name = full_name,
        id = id,
        private = private,
        latest = latest,
        name = name,
        posts = posts,
    )
}

/// The answer about one account by id. One that is for grown-ups has a mark and no numbers.
pub(crate) fn info(account: &Account) -> String {
    let Account { name, id, key, .. } = account;
    let private = account.is_private();
    let gated = account.kind == AccountKind::Gated;
    let latest = account.visible().last().map_or(0, |story| story.taken_at.unix_secs());
    let count = |salt, most| if gated { 0 } else { hash::pair(*key, salt) % most };
    let gating = if gated {
        concat!(
            r#""gating":{"gating_type":"restricted_profile","title":"Restricted profile","#,
            r#""description":"You must be 18 years or over to see this profile"},"#,
        )
    } else {
        ""
    };
    format!(
        concat!(
            r#"{{"user":{{"pk":{id},"pk_id":"{id}","username":"{name}","#,
            r#""full_name":"{full_name}","is_private":{private},"is_verified":false,{gating}"#,
            r#""follower_count":{followers},"following_count":{follows},"media_count":{posts},"#,
            r#""latest_reel_media":{latest},"has_highlight_reels":false}},"status":"ok"}}"#,
        ),
        id = id,
        name = name,
        full_name = name.replace(['.', '_'], " "),
        private = private,
        gating = gating,
        followers = count(20, 100_000),
        follows = count(21, 2_000),
        posts = count(22, 5_000),
        latest = latest,
    )
}

/// The answer to a search: these accounts, best first.
pub(crate) fn search<'a>(accounts: impl Iterator<Item = &'a Account>) -> String {
    let users: Vec<_> = accounts
        .enumerate()
        .map(|(position, account)| {
            let Account { name, id, .. } = account;
            let (full_name, private) = (name.replace(['.', '_'], " "), account.is_private());
            format!(
                concat!(
                    r#"{{"position":{position},"user":{{"pk":"{id}","pk_id":"{id}","#,
                    r#""username":"{name}","full_name":"{full_name}","is_private":{private},"#,
                    r#""is_verified":false}}}}"#,
                ),
                position = position,
                id = id,
                name = name,
                full_name = full_name,
                private = private,
            )
        })
        .collect();
    format!(
        r#"{{"users":[{}],"places":[],"hashtags":[],"has_more":false,"status":"ok"}}"#,
        users.join(",")
    )
}
