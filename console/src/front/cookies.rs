//! The one cookie.

use axum::http::{HeaderMap, HeaderValue, header};

/// Its name. Browsers take a cookie of this prefix only with `Secure`, for this host alone, and for all paths.
const NAME: &str = "__Host-hyclus";

/// The secret that a request carries.
pub fn secret(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// The header that gives a browser a secret for some seconds. An empty one with none takes it away.
pub fn set(secret: &str, seconds: i64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{NAME}={secret}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Strict", seconds.max(0))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(secret(&headers), None);
        headers.append(header::COOKIE, "a=b; hyclus=no; x__Host-hyclus=no".parse().unwrap());
        headers.append(header::COOKIE, "c=d;  __Host-hyclus=yes; e".parse().unwrap());
        assert_eq!(secret(&headers), Some("yes"));
    }
}
