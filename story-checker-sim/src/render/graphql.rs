//! Reels and profiles as GraphQL writes them.

use std::fmt::{self, Write};

use super::reel::Reel;
use crate::accounts::{Account, AccountKind, TruthItem};
use crate::form::Form;
use crate::hash;

/// The answer about the reels of accounts; accounts without one are left out.
pub(crate) fn reels(reels: &[Reel<'_>]) -> String {
    let mut out = String::from(r#"{"data":{"reels_media":["#);
    for (index, reel) in reels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if reel.is_null() {
            out.push_str("null");
        } else {
            // Writing to a String does not fail.
            let _ = write_reel(&mut out, reel);
        }
    }
    out.push_str(r#"]},"status":"ok"}"#);
    out
}

/// The answer about the followed accounts: who has a story.
pub(crate) fn tray<'a>(accounts: impl Iterator<Item = &'a Account>) -> String {
    let edges: Vec<_> = accounts
        .map(|account| {
            let Account { name, id, .. } = account;
            let latest = account.visible().last().map_or(0, |story| story.taken_at.unix_secs());
            format!(
                concat!(
                    r#"{{"node":{{"__typename":"GraphReel","id":"{id}","latest_reel_media":{latest},"#,
                    r#""seen":null,"owner":{{"__typename":"GraphUser","id":"{id}","#,
                    r#""username":"{name}"}}}}}}"#,
                ),
                id = id,
                latest = latest,
                name = name,
            )
        })
        .collect();
    format!(
        r#"{{"data":{{"user":{{"feed_reels_tray":{{"edge_reels_tray_to_reel":{{"edges":[{}]}}}}}}}},"status":"ok"}}"#,
        edges.join(",")
    )
}

/// The answer about one account: whether everybody may see a story of it.
pub(crate) fn public_story(account: &Account) -> String {
    let Account { name, id, kind, .. } = account;
    let shows = *kind == AccountKind::Public && !account.visible().is_empty();
    format!(
        r#"{{"data":{{"user":{{"id":"{id}","username":"{name}","has_public_story":{shows}}}}},"status":"ok"}}"#
    )
}

/// The answer about one profile by id, as the page of a viewer asks for it.
pub(crate) fn profile(account: &Account) -> String {
    let Account { name, id, key, kind, .. } = account;
    let latest = account.visible().last().map_or(0, |story| story.taken_at.unix_secs());
    let picture = format!("https://cdn.sim.test/v/{id}_s320x320.jpg");
    format!(
        concat!(
            r#"{{"data":{{"user":{{"pk":"{id}","id":"{id}","username":"{name}","#,
            r#""full_name":"{full_name}","biography":"","external_url":null,"#,
            r#""is_private":{private},"is_verified":false,"is_business":false,"#,
            r#""media_count":{posts},"follower_count":{followers},"following_count":{follows},"#,
            r#""latest_reel_media":{latest},"profile_pic_url":"{picture}","#,
            r#""hd_profile_pic_url_info":{{"url":"{picture}"}},"friendship_status":"#,
            r#"{{"following":{followed},"followed_by":false,"blocking":false,"#,
            r#""incoming_request":false,"outgoing_request":false}}}}}},"status":"ok"}}"#,
        ),
        id = id,
        name = name,
        full_name = name.replace(['.', '_'], " "),
        private = account.is_private(),
        posts = hash::pair(*key, 22) % 5_000,
        followers = hash::pair(*key, 20) % 100_000,
        follows = hash::pair(*key, 21) % 2_000,
        latest = latest,
        picture = picture,
        followed = *kind == AccountKind::PrivateFollowed,
    )
}

fn write_reel(out: &mut String, reel: &Reel<'_>) -> fmt::Result {
    let (id, name) = (reel.owner(), &reel.account().name);
    write!(
        out,
        concat!(
            r#"{{"__typename":"GraphReel","id":"{id}","latest_reel_media":{latest},"#,
            r#""expiring_at":{expiring},"seen":null,"can_reply":true,"#,
            r#""user":{{"id":"{id}","username":"{name}"}},"#,
            r#""owner":{{"__typename":"GraphUser","id":"{id}","username":"{name}"}}"#,
        ),
        id = id,
        latest = reel.latest(),
        expiring = reel.expiring(),
        name = name,
    )?;
    match reel.form() {
        Some(Form::Stub) => {}
        Some(Form::ItemsNull) => out.push_str(r#","items":null"#),
        Some(Form::ItemsEmpty) => out.push_str(r#","items":[]"#),
        _ => {
            out.push_str(r#","items":["#);
            for (index, item) in reel.items().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_item(out, reel, item)?;
            }
            out.push(']');
        }
    }
    out.push('}');
    Ok(())
}

fn write_item(out: &mut String, reel: &Reel<'_>, item: &TruthItem) -> fmt::Result {
    let TruthItem { pk, owner_id, video, .. } = *item;
    let (taken, expiring) = (item.taken_at.unix_secs(), item.expires_at.unix_secs());
    let kind = if video { "GraphStoryVideo" } else { "GraphStoryImage" };
    write!(
        out,
        concat!(
            r#"{{"__typename":"{kind}","id":"{pk}","dimensions":{{"height":1920,"width":1080}},"#,
            r#""taken_at_timestamp":{taken},"expiring_at_timestamp":{expiring},"#,
            r#""is_video":{video},"owner":{{"id":"{owner_id}"}},"display_resources":["#,
        ),
        kind = kind,
        pk = pk,
        taken = taken,
        expiring = expiring,
        video = video,
        owner_id = owner_id,
    )?;
    if reel.form() != Some(Form::NoCandidates) {
        for (index, width) in [640usize, 750, 1080].into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let height = width * 16 / 9;
            write!(
                out,
                r#"{comma}{{"src":"https://cdn.sim.test/v/t51/{pk}_{width}.jpg?oe={expiring:X}","config_width":{width},"config_height":{height}}}"#
            )?;
        }
        if video {
            write!(
                out,
                r#"],"video_resources":[{{"src":"https://cdn.sim.test/v/t50/{pk}.mp4?oe={expiring:X}","config_width":720,"config_height":1280,"profile":"MAIN"}}"#
            )?;
        }
    }
    out.push_str("]}");
    Ok(())
}
