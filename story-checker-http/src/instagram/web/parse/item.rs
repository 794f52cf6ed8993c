//! The items of a reel, and whose they are.

use serde::Deserialize;

use crate::wire::{Flag, Loose, Number, Text, maybe_object, maybe_objects};

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Owner<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pk: Option<Text<'a>>,
}

impl<'a> Owner<'a> {
    pub(in super::super) fn id(&self) -> Option<&Text<'a>> {
        self.pk.as_ref().or(self.id.as_ref())
    }
}

/// An item. GraphQL has other names for the same fields, and other fields for the files.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Story<'a> {
    #[serde(borrow, default)]
    pub(in super::super) audience: Option<Loose<'a>>,
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    pub(in super::super) display_resources: Option<Vec<File<'a>>>,
    #[serde(default, alias = "expiring_at_timestamp")]
    pub(in super::super) expiring_at: Option<Number>,
    #[serde(borrow, default)]
    pub(in super::super) id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    pub(in super::super) image_versions2: Option<Images<'a>>,
    #[serde(default)]
    pub(in super::super) is_video: Option<Flag>,
    #[serde(default)]
    pub(in super::super) media_type: Option<Number>,
    #[serde(default)]
    pub(in super::super) original_media_type: Option<Number>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    pub(in super::super) owner: Option<Owner<'a>>,
    #[serde(borrow, default)]
    pub(in super::super) pk: Option<Text<'a>>,
    #[serde(default, alias = "taken_at_timestamp")]
    pub(in super::super) taken_at: Option<Number>,
    #[serde(borrow, default, deserialize_with = "maybe_object")]
    pub(in super::super) user: Option<Owner<'a>>,
    #[serde(default)]
    pub(in super::super) video_duration: Option<Number>,
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    pub(in super::super) video_resources: Option<Vec<File<'a>>>,
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    pub(in super::super) video_versions: Option<Vec<File<'a>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Images<'a> {
    #[serde(borrow, default, deserialize_with = "maybe_objects")]
    pub(in super::super) candidates: Option<Vec<File<'a>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct File<'a> {
    #[serde(default, alias = "config_height")]
    pub(in super::super) height: Option<Number>,
    #[serde(borrow, default, alias = "src")]
    pub(in super::super) url: Option<Text<'a>>,
    #[serde(default, alias = "config_width")]
    pub(in super::super) width: Option<Number>,
}
