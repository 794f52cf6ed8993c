//! Reels as GraphQL writes them.

use std::fmt::{self, Write};

use super::reel::Reel;
use crate::accounts::TruthItem;
use crate::form::Form;

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
