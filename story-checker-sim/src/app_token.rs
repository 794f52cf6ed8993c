//! The token that the app carries instead of cookies: `IGT:2:` and the session in base64.

use serde::Deserialize;

/// The `sessionid` inside a token, as the cookie would say it.
pub(crate) fn session_id(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Session {
        sessionid: String,
    }

    let json = decode(token.strip_prefix("IGT:2:")?)?;
    serde_json::from_slice(&json).ok().map(|Session { sessionid }| sessionid)
}

/// Reads base64 (RFC 4648), with or without the padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for &digit in group {
            bits = bits << 6 | sextet(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, all @ ..] = bits.to_be_bytes();
        // One digit alone is not even a byte.
        bytes.extend(all.get(..group.len() - 1).filter(|whole| !whole.is_empty())?);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_rfc_4648_says() {
        for (encoded, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(plain.as_bytes()), "{encoded}");
        }
        assert_eq!(decode("Z"), None);
        assert_eq!(decode("Zm9v!"), None);
    }

    #[test]
    fn a_token_holds_a_session() {
        // {"ds_user_id":"7","sessionid":"7%3Aa%3A0"}
        let token = "IGT:2:eyJkc191c2VyX2lkIjoiNyIsInNlc3Npb25pZCI6IjclM0FhJTNBMCJ9";
        assert_eq!(session_id(token).as_deref(), Some("7%3Aa%3A0"));
        assert_eq!(session_id(&token.replace("IGT:2:", "IGT:1:")), None);
        assert_eq!(session_id("IGT:2:e30="), None);
        assert_eq!(session_id("IGT:2:"), None);
    }
}
