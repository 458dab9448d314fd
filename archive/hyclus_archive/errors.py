"""Errors that a user can act on. The command line prints them in one line and ends with status 1."""

from __future__ import annotations

import re


class ArchiveError(Exception):
    """Something failed. The message says what to do."""


class Damaged(ArchiveError):
    """Objects of a scan are not what its scan.json says. The scan is not taken.

    faults: one sentence for each, with the object's key.
    """

    def __init__(self, rig: str, scan: str, faults: list[str]) -> None:
        self.rig = rig
        self.scan = scan
        self.faults = faults
        more = "" if len(faults) == 1 else f" (and {len(faults) - 1} more)"
        super().__init__(f"scan {scan} of rig {rig} is damaged: {faults[0]}{more}")


class Unreachable(ArchiveError):
    """The storage, or this machine's disk, refused or did not answer. Trying again later may help."""


class Conflict(ArchiveError):
    """Another writer committed again and again in between, or the storage did not answer."""


# Words in the errors of pyarrow and deltalake, and what to do. The first that fits counts.
_ADVICE: list[tuple[tuple[str, ...], str]] = [
    (
        ("RequestTimeTooSkewed", "REQUEST_TIME_TOO_SKEWED", "difference between the request time"),
        "this machine's clock and the archive's differ too much; set the clock (timedatectl)",
    ),
    (
        ("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "EXPIRED_TOKEN", "INVALID_TOKEN"),
        "the credentials have expired; put new ones into the file of --credentials (`serve` reads it again)",
    ),
    (
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "Forbidden", "necessary privileges", "ACCESS_DENIED")
        + ("INVALID_ACCESS_KEY_ID", "INVALID_CLIENT_TOKEN_ID", "SIGNATURE_DOES_NOT_MATCH", "HTTP response code 403"),
        "the archive refuses the credentials; put good ones into the file of --credentials (`serve` reads it again)",
    ),
    (("NoSuchBucket", "NO_SUCH_BUCKET"), "there is no such bucket; make it, or correct the place"),
    (
        ("QuotaExceeded", "InsufficientStorage", "StorageFull", "507 Insufficient", "status 507", "No space left", "Disk quota exceeded"),
        "the archive is full; make room there",
    ),
    # SeaweedFS answers this without a reason where its disks or the quota of a bucket are full.
    (
        ("InternalError", "INTERNAL_FAILURE", "internal error"),
        "the archive failed inside; is it full, or the quota of the bucket used up? Its own log says more",
    ),
    (
        ("NETWORK_CONNECTION", "REQUEST_TIMEOUT", "error sending request", "request or response body error", "timed out")
        + ("Connection refused", "Connection reset", "dns error"),
        "the archive does not answer; is its server running, and the network up?",
    ),
]
# What makes an error another one each time, and hard to read: deltalake's colours, times and numbers of requests, all but two elements of
# an answer.
_TIDIED = [
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\s+\u21b3\s+"), ": "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"<(?:\?xml|Error)\b.*?<Code>(.*?)</Code> ?<Message>(.*?)</Message>.*?(?:</Error>|$)"), r"\1: \2"),
    # An answer in another order may repeat a session token.
    (re.compile(r"<(Token[^>]*)>.*?(?:</\1>|$)"), ""),
    (re.compile(r" in [0-9.]+(?:ns|\u00b5s|ms|s)\b| \(Request ID: \w+\)"), ""),
]
_MOST = 600


def told(error: BaseException) -> str:
    """An error of the storage in one line: what to do, where that is known, and what it said."""
    line = str(error).strip() or type(error).__name__
    for found, instead in _TIDIED:
        line = found.sub(instead, line)
    advice = next((advice for words, advice in _ADVICE if any(word in line for word in words)), None)
    line = line if len(line) <= _MOST else f"{line[:_MOST]}..."
    return f"{advice} ({line})" if advice else line
