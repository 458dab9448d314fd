"""Places and credentials."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import pytest

from hyclus_archive.cli import main
from hyclus_archive.errors import ArchiveError, told
from hyclus_archive.place import Place

GIVEN = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("name", "endpoint", "message"),
    [
        ("data", None, "from / on"),
        ("http://host/x", None, "s3://BUCKET/PREFIX"),
        ("file://host/x", None, "no host"),
        ("/nowhere/at/all", None, "make it first"),
        ("s3://", None, "s3://BUCKET/PREFIX"),
        ("s3://bucket/a//b", None, "empty part"),
        ("s3://bucket/a", "127.0.0.1:80", "--endpoint"),
        ("s3://bucket/a", "http://user:secret@host", "--endpoint"),
        ("/tmp", "http://host", "is a folder"),
        ("s3://bucket/a", "http://[secret", "--endpoint"),
        ("s3://bucket/a", "http://me:sec\u2100ret@host", "--endpoint"),
        ("s3://bucket/a", "http://host:99999", "--endpoint"),
        ("http://me:secret@host/x", None, "s3://BUCKET/PREFIX"),
        ("http://me:sec[ret@host/x", None, "s3://BUCKET/PREFIX"),
        ("s3://me:secret@bucket/a", None, "s3://BUCKET/PREFIX"),
        ("s3://me:sec/ret@bucket/a", None, "s3://BUCKET/PREFIX"),
        ("s3://me:sec\u2100ret@bucket", None, "s3://BUCKET/PREFIX"),
        ("s3://me:secret\uff20bucket", None, "s3://BUCKET/PREFIX"),
    ],
)
def test_places_that_are_refused(name: str, endpoint: str | None, message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as refused:
        Place.open(name, endpoint, environment=GIVEN)
    assert "sec" not in "".join(traceback.format_exception(refused.value))


def test_credentials(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="AWS_SECRET_ACCESS_KEY not in the environment"):
        Place.open("s3://bucket", environment={"AWS_ACCESS_KEY_ID": "a"})
    file = tmp_path / "credentials"
    file.write_text("# of the archiver\nAWS_ACCESS_KEY_ID=me\nAWS_SECRET_ACCESS_KEY = hush\n")
    file.chmod(0o640)
    with pytest.raises(ArchiveError, match="chmod 600"):
        Place.open("s3://bucket/a/", credentials=file)
    file.chmod(0o600)
    place = pickle.loads(pickle.dumps(Place.open("s3://bucket/a/", credentials=file, environment=GIVEN)))
    assert (place.root, place.storage_options["AWS_SECRET_ACCESS_KEY"]) == ("bucket/a", "hush")
    assert "hush" not in repr(place)
    file.write_text("AWS_ACCESS_KEY_ID=me\nhush\n")
    with pytest.raises(ArchiveError, match="line 2") as refused:
        Place.open("s3://bucket", credentials=file)
    assert "hush" not in str(refused.value)


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    assert main(["status", str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err.startswith("hyclus-archive: ")


COLOURED = """Kernel error -> Generic S3 error
          \x1b[31m\u21b3\x1b[0m Error performing GET http://127.0.0.1:15079/b/tables/scans in 5.507ms - Server returned non-2xx status code
           \x1b[31m\u21b3\x1b[0m 403 Forbidden
            \x1b[31m\u21b3\x1b[0m <?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message><Key>k</Key><RequestId>18ED</RequestId></Error>
"""


@pytest.mark.parametrize(
    ("error", "advice", "said"),
    [
        (COLOURED, "refuses the credentials", "tables/scans - Server returned non-2xx status code: 403 Forbidden: SignatureDoesNotMatch: It does"),
        ("AWS Error NETWORK_CONNECTION during GetObject operation: (Request ID: 18ED)", "does not answer", "operation:)"),
        ("AWS Error INTERNAL_FAILURE during PutObject operation", "is it full", "INTERNAL_FAILURE"),
        ("AWS Error REQUEST_TIME_TOO_SKEWED during ListObjectsV2 operation: The difference", "set the clock", "The difference"),
        ("ExpiredToken: The provided token has expired", "have expired", "token"),
        ("<Error><Token-0>18ED</Token-0><Code>ExpiredToken</Code>\n<Message>It expired.</Message></Error>", "have expired", "It expired."),
        ("400: <Error><Code>ExpiredToken</Code><Token-0>18ED</Token-0></Error>", "have expired", "400"),
        ("400: <Error><Code>ExpiredToken</Code><Token-0>18ED", "have expired", "400"),
    ],
)
def test_errors_say_what_to_do_in_one_line(error: str, advice: str, said: str) -> None:
    line = told(OSError(error))
    assert advice in line and said in line and "\n" not in line and "\x1b" not in line and "18ED" not in line and "5.507" not in line


def test_other_errors_are_as_they_are() -> None:
    assert told(OSError(2, "No such file or directory", "/x")) == "[Errno 2] No such file or directory: '/x'"
    assert told(TimeoutError()) == "TimeoutError"
