"""Files of the tables, and what takes the place of a scan's rows. Memory holds a row group, whatever the size of a scan."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from .errors import Unreachable
from .place import Place
from .tables import Action, add_action, file_schema, new_key, parquet_writer

GROUP_BYTES = 32 << 20
# Rows of a file that are read at once where others' rows are kept.
READ_ROWS = 8192


def no_room(what: object) -> Unreachable:
    """The error where this machine's disk refuses temporary files. The archive is no cause of it."""
    return Unreachable(f"{what}; free some room, or set TMPDIR")


@contextmanager
def _on_own_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise no_room(error) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder on this machine that is removed afterwards. Raises Unreachable where none can be made."""
    with _on_own_disk():
        made = tempfile.TemporaryDirectory(prefix="hyclus-archive-")
    with made as folder:
        yield Path(folder)


class TableFile:
    """A local Parquet file of one table. Row groups hold about 32 MiB; an empty file is not written. Raises Unreachable on a full disk."""

    def __init__(self, folder: Path, table: str) -> None:
        self.table = table
        self.path = folder / f"{table}.parquet"
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        if not len(batch):
            return
        self.rows += len(batch)
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        if self._writer is not None:
            with _on_own_disk():
                self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if self._waiting:
            group = pa.Table.from_batches(self._waiting)
            with _on_own_disk():
                self._writer = self._writer or parquet_writer(self.path, self.table)
                self._writer.write_table(group, row_group_size=len(group))
        self._waiting, self._bytes = [], 0


def put(place: Place, file: TableFile, rig: str, scan: str) -> AddAction:
    """Puts a closed file into the folder of its table. scan: for its name."""
    key = new_key(rig, scan)
    size = place.put(file.path, f"tables/{file.table}/{key}")
    return add_action(key, size, rig, pq.read_metadata(file.path))


class Replacement:
    """Puts files in the place of a scan's rows, in whatever snapshot of the table.

    Files of the scan alone are removed. A file that has others' rows too, since a compaction, is written anew without the scan's. This
    is done once for each file, as a commit may have to be tried again.
    """

    def __init__(self, place: Place, rig: str, scan: str, added: Sequence[AddAction], folder: Path) -> None:
        """added: of the files, which are in the archive. folder: for temporary files."""
        self.place = place
        self.rig = rig
        self.scan = scan
        self.added = added
        self.folder = folder
        self._rests: dict[str, list[AddAction] | None] = {}

    def actions(self, table: DeltaTable) -> list[Action]:
        """The actions of a commit from the table's snapshot."""
        actions: list[Action] = [*self.added]
        now = int(time.time() * 1000)
        for path, size, alone in _files(table, self.rig, self.scan):
            if path not in self._rests:
                self._rests[path] = [] if alone else self._rest(table.metadata().name or "", path)
            rest = self._rests[path]
            if rest is not None:
                actions += [RemoveAction(path, True, now, size, {"rig": self.rig}), *rest]
        return actions

    def _rest(self, table: str, path: str) -> list[AddAction] | None:
        """A file with the rows of other scans, in the archive; none where there are no others. None: it has no row of the scan."""
        schema = file_schema(table)
        with self.place.filesystem.open_input_file(self.place.path("tables", table, path)) as stream, pq.ParquetFile(stream) as file:
            scans = (batch.column("scan") for batch in file.iter_batches(READ_ROWS, columns=["scan"]))
            if not any(pc.any(pc.equal(column, self.scan)).as_py() for column in scans):
                return None
            rest = TableFile(self.folder, table)
            rest.path = self.folder / f"rest-{table}.parquet"
            for batch in file.iter_batches(READ_ROWS):
                others = batch.filter(pc.not_equal(batch.column("scan"), self.scan))
                rest.write(pa.record_batch([others.column(field.name).cast(field.type) for field in schema], schema=schema))
            rest.close()
        return [put(self.place, rest, self.rig, "rest")] if rest.rows else []


def _files(table: DeltaTable, rig: str, scan: str) -> Iterator[tuple[str, int, bool]]:
    """Files that may have a scan's rows, by their statistics: path, bytes, and whether they have no other rows."""
    found = pa.table(table.get_add_actions(flatten=True))
    found = found.filter(pc.equal(found["partition.rig"].cast(pa.string()), rig))
    for name in ("min.scan", "max.scan"):
        known = found[name].cast(pa.string()) if name in found.column_names else pa.chunked_array([pa.nulls(len(found), pa.string())])
        found = found.append_column(f"known {name}", known)
    low, high = found["known min.scan"], found["known max.scan"]
    may = pc.fill_null(pc.and_(pc.less_equal(low, scan), pc.greater_equal(high, scan)), True)
    for row in found.select(["path", "size_bytes", "known min.scan", "known max.scan"]).filter(may).to_pylist():
        yield row["path"], row["size_bytes"], row["known min.scan"] == row["known max.scan"] == scan
