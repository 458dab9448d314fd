//! Why something was not shipped, and what to do about it.

use object_store::Error;
use std::error::Error as _;
use std::fmt::Write as _;

/// What a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The archive as a whole: nothing can be shipped until it is over. It is tried again and again.
    Archive,
    /// One scan: others are shipped.
    Scan,
}

/// Why something was not shipped.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it concerns.
    pub trouble: Trouble,
    /// The fault, and a remedy.
    pub message: String,
}

impl Failure {
    /// A failure that concerns one scan.
    pub fn scan(message: impl Into<String>) -> Self {
        Self { trouble: Trouble::Scan, message: message.into() }
    }

    /// A failure that concerns the archive.
    pub fn archive(message: impl Into<String>) -> Self {
        Self { trouble: Trouble::Archive, message: message.into() }
    }

    /// An error of the archive `place`.
    pub fn of(place: &str, error: &Error) -> Self {
        let text = chain(error);
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let advice = if has(&["RequestTimeTooSkewed", "difference between the request time"]) {
            "this machine's clock and the archive's differ too much; set the clock (timedatectl)"
        } else if has(&["ExpiredToken", "TokenRefreshRequired", "InvalidToken"]) {
            "the credentials have expired; put new ones into the file of ship.credentials, which is read again"
        } else if has(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "Forbidden"])
            || matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
        {
            "the archive refuses the credentials; put good ones into the file of ship.credentials, which is read again"
        } else if has(&["NoSuchBucket"]) {
            "there is no such bucket; make it, or correct ship.archive"
        } else if has(&[
            "QuotaExceeded",
            "InsufficientStorage",
            "507 Insufficient Storage",
            "No space left",
            "StorageFull",
            "no free volumes",
            "No writable volumes",
            "no writable volumes",
            "XMinioStorageFull",
            "quota",
        ]) {
            "the archive is full; make room there"
        } else if has(&["InternalError", "500 Internal Server Error"]) {
            // SeaweedFS answers this without a reason where its disks or the quota of a bucket are full.
            "the archive failed inside; is it full, or the quota of the bucket used up? Its own log says more"
        } else if has(&[
            "error sending request",
            "request or response body error",
            "Connection refused",
            "connect error",
            "dns error",
            "timed out",
            "operation timed out",
        ]) {
            "the archive does not answer; is its server running, and the network up?"
        } else if has(&["Permission denied"]) {
            "this user may not write there; change the owner or the permissions of the archive's folder"
        } else {
            "look at the archive's own log"
        };
        Self::archive(format!("{place}: {advice} ({})", shortened(&tidied(&text))))
    }
}

/// Whether a server knows an upload, or a part of it, no more.
pub(crate) fn dropped(error: &Error) -> bool {
    let text = chain(error);
    matches!(error, Error::NotFound { .. }) || ["NoSuchUpload", "InvalidPart"].iter().any(|code| text.contains(code))
}

/// An error with all its sources.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        let said = next.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        source = next.source();
    }
    text
}

/// An error as it reads when it comes again: without times and queries. Of an answer in XML, code and message.
fn tidied(text: &str) -> String {
    let is_time = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.trim_end_matches(',').ends_with('s');
    let (mut line, mut words) = (String::new(), text.split_whitespace().peekable());
    while let Some(word) = words.next() {
        if word == "in" && words.next_if(is_time).is_some() {
            continue;
        }
        let word = if word.starts_with("http") { word.split('?').next().unwrap_or(word) } else { word };
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    let element = |name: &str| Some(line.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0);
    match (line.split_once("<?xml"), element("Code"), element("Message")) {
        (Some((before, _)), Some(code), Some(message)) => format!("{before}{code}: {message}"),
        _ => line,
    }
}

/// The first part of a text, on one line.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let error = |text: &str| Error::Generic { store: "S3", source: text.to_owned().into() };
        for (text, wanted) in [
            ("<Code>RequestTimeTooSkewed</Code>", "clock"),
            ("<Code>ExpiredToken</Code>", "expired"),
            ("<Code>InvalidAccessKeyId</Code>", "refuses the credentials"),
            ("Server returned 507 Insufficient Storage", "full"),
            ("500 Internal Server Error: <Code>InternalError</Code>", "quota"),
            ("HTTP error: request or response body error", "does not answer"),
            ("GET http://127.0.0.1:15079/ores in 5.507ms", "log"),
            ("error sending request for url", "does not answer"),
            ("anything", "log"),
        ] {
            let failure = Failure::of("s3://ores", &error(text));
            assert!(failure.message.contains(wanted) && failure.message.starts_with("s3://ores: "), "{failure}");
            assert_eq!(failure.trouble, Trouble::Archive);
        }
        assert_eq!(shortened(&"x ".repeat(500)).len(), 303);
    }

    #[test]
    fn an_error_that_comes_again_reads_the_same() {
        let text = |time: &str, id: u8| {
            format!(
                "Error performing PUT http://host/b/k?uploadId={id} in {time}, after 4 retries - 403 Forbidden: <?xml version=\"1.0\"?>\n<Error>\
                <Code>AccessDenied</Code><Message>Access Denied.</Message><RequestId>{id}</RequestId></Error>"
            )
        };
        let wanted = "Error performing PUT http://host/b/k after 4 retries - 403 Forbidden: AccessDenied: Access Denied.";
        assert_eq!(tidied(&text("1.27s", 1)), wanted);
        assert_eq!(tidied(&text("718.985µs", 2)), wanted);
        assert_eq!(tidied("look in 3 places"), "look in 3 places");
    }
}
