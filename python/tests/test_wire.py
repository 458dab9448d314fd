"""Answers and events as bytes, in any portions. http.client of the standard library judges what an answer says."""

from __future__ import annotations

import http.client
import io
from typing import Any

import pytest

from hyclus._http import Answer, Cut, Request, WireError, segment
from hyclus._stream import Message, Parser

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\na\r\n\r\n\r\n0\r\ntrailer: 1\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
]


class Wire:
    """Bytes for http.client in the place of a socket."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self.data)


def read(*portions: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    """Status, headers, body, and whether it ended before the stream did."""
    answer, body = Answer(), b""
    for portion in portions:
        body += answer.feed(portion)
    early = answer.done
    if not early:
        body += answer.feed(b"")
    return answer.status, answer.headers, body, early


@pytest.mark.parametrize("data", ANSWERS)
def test_an_answer_is_that_of_the_standard_library_however_it_is_cut(data: bytes) -> None:
    judge = http.client.HTTPResponse(Wire(data))  # type: ignore[arg-type]
    judge.begin()
    headers = {name.lower(): value for name, value in judge.getheaders()}
    truth = (judge.status, headers, judge.read())
    for cut in range(len(data) + 1):
        portions = [part for part in (data[:cut], data[cut:]) if part]
        assert read(*portions)[:3] == truth, cut
    assert read(*(data[i : i + 1] for i in range(len(data))))[:3] == truth


@pytest.mark.parametrize("data", ANSWERS[:3])
def test_an_answer_that_is_cut_off_is_none(data: bytes) -> None:
    for cut in range(len(data)):
        with pytest.raises(Cut):
            read(*([data[:cut]] if cut else []))


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(WireError) as error:
        read(data)
    assert not isinstance(error.value, Cut)


def test_a_request_says_what_the_daemon_asks_for() -> None:
    assert Request("GET", "/v1/status").encode() == b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    post = Request("POST", "/v1/scans", b"{}", headers=(("x-hyclus-for", "José"),)).encode()
    assert post.endswith("content-type: application/json\r\ncontent-length: 2\r\nx-hyclus-for: José\r\n\r\n{}".encode())
    assert b"content-length: 0" in Request("POST", "/v1/stop").encode()
    assert segment("../a b/ä") == "..%2Fa%20b%2F%C3%A4"


STREAM = b': hello\n\nid: 7\nevent: state\ndata: {"a":1}\n\ndata:x\r\ndata:  y\r\n\r\nevent: none\n\nid\rdata\r\rdata: cut'
MESSAGES = [Message("state", '{"a":1}'), Message("", "x\n y"), Message("", "")]


def messages(*portions: bytes) -> list[Message]:
    parser = Parser()
    for portion in portions:
        parser.feed(portion)
    return list(parser.ready)


def test_messages_are_the_same_however_the_bytes_are_cut() -> None:
    assert messages(STREAM) == MESSAGES
    for cut in range(len(STREAM)):
        assert messages(STREAM[:cut], STREAM[cut:]) == MESSAGES, cut
    assert messages(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == MESSAGES
