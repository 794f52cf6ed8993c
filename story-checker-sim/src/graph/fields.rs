//! The parameter `fields`.

/// What is asked for, in order; without duplicates.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Fields<'a> {
    pub(super) names: Vec<&'a str>,
    /// The name and the fields of `business_discovery.username(NAME){FIELDS}`.
    pub(super) discovery: Option<(&'a str, Vec<&'a str>)>,
}

impl<'a> Fields<'a> {
    /// `None` for what cannot be read: braces that do not match, or an edge that is unknown.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        for part in split(text)? {
            if let Some(rest) = part.strip_prefix("business_discovery") {
                let (name, rest) = rest.strip_prefix(".username(")?.split_once(')')?;
                let inner = rest.strip_prefix('{')?.strip_suffix('}')?;
                let inner = split(inner)?.into_iter().map(outer);
                fields.discovery = Some((name.trim(), inner.collect()));
            } else if !fields.names.contains(&part) {
                fields.names.push(part);
            }
        }
        Some(fields)
    }
}

/// A field without its own fields and modifiers: `media.limit(5){id}` is `media`.
fn outer(field: &str) -> &str {
    field.split(['{', '.', '(']).next().unwrap_or(field)
}

/// The parts between the commas that stand outside of all braces.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    (depth == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_apart() {
        let fields = Fields::parse("id, media_type,id,,timestamp").unwrap();
        assert_eq!(fields.names, ["id", "media_type", "timestamp"]);
        let text = "id,business_discovery.username(tea_house){id,media.limit(2){id,media_url}}";
        let fields = Fields::parse(text).unwrap();
        assert_eq!(fields.names, ["id"]);
        assert_eq!(fields.discovery, Some(("tea_house", vec!["id", "media"])));
        for wrong in ["id}", "{id", "business_discovery", "business_discovery.username(a)"] {
            assert_eq!(Fields::parse(wrong), None, "{wrong}");
        }
    }
}
