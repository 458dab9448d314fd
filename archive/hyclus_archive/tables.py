"""The five Delta tables, and commits that happen exactly once.

Every commit carries a transaction, an id with a version. A writer looks whether the table has it, and commits from the same
snapshot. Delta refuses the commit where another writer committed the same transaction in between, and the writer looks again.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from .errors import ArchiveError, Conflict, Unreachable, told
from .place import Place

# Readers agree on these types alone: no unsigned integers, no half floats, no naive times, no dictionaries, no lists of fixed size.
TIME = pa.timestamp("us", tz="UTC")
KEYS = pa.map_(pa.string(), pa.string())
VARS = pa.map_(pa.string(), pa.float64())
FEATURES = pa.map_(pa.string(), pa.float32())


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind))


FLOATS = _list(pa.float32())
_PIXEL = [
    ("sample", pa.string()),
    ("container", pa.string()),
    ("keys", KEYS),
    ("line", pa.int32()),
    ("pixel", pa.int32()),
    ("x_mm", pa.float32()),
    ("y_mm", pa.float32()),
    ("time", TIME),
    ("time_ns", pa.int64()),
    ("quality", pa.int16()),
]
_SCAN = [("rig", pa.string()), ("scan", pa.string())]

SCHEMAS: dict[str, pa.Schema] = {
    "samples": pa.schema(
        [
            *_SCAN,
            ("sample", pa.string()),
            ("container", pa.string()),
            ("keys", KEYS),
            ("vars", VARS),
            ("pixels", pa.int64()),
            ("valid", pa.int64()),
            ("doubts", _list(pa.string())),
            ("file", pa.string()),
            ("shape", _list(pa.int32())),
            ("mean_spectrum", FLOATS),
            ("minerals", VARS),
            ("heads", VARS),
        ]
    ),
    "embeddings": pa.schema(
        [*_SCAN, ("encoder", pa.string()), ("encoder_sha256", pa.string()), *_PIXEL, ("novelty", pa.float32()), ("embedding", FLOATS)]
    ),
    "minerals": pa.schema(
        [
            *_SCAN,
            *_PIXEL,
            *[
                column
                for group in (1, 2)
                for column in [
                    (f"mineral_{group}", pa.string()),
                    (f"score_{group}", pa.float32()),
                    (f"runner_up_{group}", pa.string()),
                    (f"runner_up_score_{group}", pa.float32()),
                ]
            ],
            ("features", FEATURES),
        ]
    ),
    "spectra": pa.schema([*_SCAN, ("grid", pa.string()), *_PIXEL, ("spectrum", FLOATS)]),
    # Last: a scan that is in this table is whole in all of them.
    "scans": pa.schema(
        [
            *_SCAN,
            ("revision", pa.int32()),
            ("tray", pa.string()),
            ("started", TIME),
            ("ended", TIME),
            ("complete", pa.bool_()),
            ("reason", pa.string()),
            ("samples", pa.int32()),
            ("embeddings", pa.int64()),
            ("spectra", pa.int64()),
            ("warnings", _list(pa.string())),
            ("grid", pa.string()),
            ("wavelengths_nm", _list(pa.float64())),
            ("fwhm_nm", _list(pa.float64())),
            ("version", pa.string()),
            ("configuration_sha256", pa.string()),
            ("encoder_sha256", pa.string()),
            ("bytes", pa.int64()),
            ("record", pa.string()),
        ]
    ),
}
PARTITION = ["rig"]
Action = AddAction | RemoveAction
# A commit reads the log since the last checkpoint, so its cost would grow over the 100 commits of the default.
CONFIGURATION: dict[str, str | None] = {"delta.checkpointInterval": "20"}


def file_schema(table: str) -> pa.Schema:
    """Schema of a table's Parquet files: without the partition column."""
    schema = SCHEMAS[table]
    return schema.remove(schema.get_field_index("rig"))


def open_table(place: Place, table: str) -> DeltaTable:
    """Opens a table at its newest version. Raises ArchiveError where it is absent, Unreachable where it cannot be read."""
    if (found := find_table(place, table)) is None:
        raise ArchiveError(f"{place.name} has no table {table} yet; run: hyclus-archive serve {place.name}")
    return found


def find_table(place: Place, table: str) -> DeltaTable | None:
    """Opens a table at its newest version; None where it is absent. Raises Unreachable."""
    try:
        return DeltaTable(place.table_uri(table), storage_options=place.storage_options)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise Unreachable(f"{place.name}: table {table}: {told(error)}") from error


def create_table(place: Place, table: str) -> DeltaTable:
    """Opens a table, and makes it first where it is absent. Two may do so at once. Raises Unreachable."""
    uri, options = place.table_uri(table), place.storage_options
    if (found := find_table(place, table)) is not None:
        return found
    try:
        if not place.remote:
            Path(uri).mkdir(parents=True, exist_ok=True)
        return DeltaTable.create(
            uri, SCHEMAS[table], partition_by=PARTITION, name=table, configuration=CONFIGURATION, storage_options=options
        )
    except (DeltaError, OSError) as error:
        try:
            return DeltaTable(uri, storage_options=options)
        except (DeltaError, OSError):
            raise Unreachable(f"{place.name}: cannot make table {table}: {told(error)}") from error


def refresh(table: DeltaTable) -> None:
    """Goes to a table's newest version. Raises Unreachable."""
    try:
        table.update_incremental()
    except (DeltaError, OSError) as error:
        raise Unreachable(f"{table.table_uri}: {told(error)}") from error


# Version of the transaction of a scan that is withdrawn: beyond all revisions, so nothing is taken of it any more.
WITHDRAWN = (1 << 31) - 1


def quoted(text: str) -> str:
    """A string literal of a predicate."""
    return "'" + text.replace("'", "''") + "'"


def version_of(table: DeltaTable, app_id: str) -> int | None:
    """The version of a transaction in the table's snapshot, None where it has none. It may read files of the log. Raises Unreachable."""
    try:
        return table.transaction_version(app_id)
    except (DeltaError, OSError) as error:
        raise Unreachable(f"{table.table_uri}: {told(error)}") from error


def done(table: DeltaTable, app_id: str, version: int) -> bool:
    """Whether the table's snapshot has the transaction, or a later version of it. Raises Unreachable."""
    found = version_of(table, app_id)
    return found is not None and found >= version


def properties(transactions: Iterable[tuple[str, int]], next_alone: bool = False) -> CommitProperties:
    """Commit properties that carry transactions, each an id and a version.

    next_alone: the commit fails where another one came since the snapshot, whatever it did.
    """
    carried = [Transaction(app_id, version) for app_id, version in transactions]
    return CommitProperties(app_transactions=carried, max_commit_retries=0 if next_alone else None)


def commit_once(
    table: DeltaTable, app_id: str, version: int, data: pa.Table | Sequence[Action] | Callable[[], Sequence[Action]]
) -> bool:
    """Commits data in one Delta commit, exactly once over all writers. False: the table had the transaction.

    data: a small table with the whole schema, with `rig`; or actions of files that lie in the table's folder already; or a function
    that gives actions for the table's snapshot each time it is called. Without actions the commit has the transaction alone.
    The table's snapshot is the newest one afterwards. Raises Conflict after a minute of failures.
    """

    def attempt() -> None:
        found = data() if callable(data) else data
        # Delta sees no conflict where a compaction has rewritten a file that is removed here, and its rows would be there twice.
        removes = not isinstance(found, pa.Table) and any(isinstance(action, RemoveAction) for action in found)
        commit = properties([(app_id, version)], next_alone=removes)
        if isinstance(found, pa.Table) or not found:
            # Delta commits no empty list of actions.
            rows = found if isinstance(found, pa.Table) else SCHEMAS[table.metadata().name or ""].empty_table()
            write_deltalake(table, rows, mode="append", writer_properties=SMALL_FILES, commit_properties=commit)
        else:
            table.create_write_transaction(list(found), "append", table.schema(), PARTITION, commit_properties=commit)

    return look_then(table, lambda: done(table, app_id, version), attempt, f"{app_id} in {table.table_uri}")


PATIENCE_S = 60.0
# Rows that are given as a table are few.
SMALL_FILES = WriterProperties(compression="ZSTD", compression_level=1)


def look_then(table: DeltaTable, look: Callable[[], bool], attempt: Callable[[], None], what: str) -> bool:
    """Looks at the newest snapshot, and attempts a commit from it where the look says no. Does so again after a conflict.

    An error does not mean that nothing was committed: a server may die after it stored the commit. So each try looks first.
    Returns whether it committed. Raises Conflict.
    """
    deadline = time.monotonic() + PATIENCE_S
    wait = 0.02
    tried = False
    while True:
        try:
            table.update_incremental()
            if look():
                return tried
            tried = True
            attempt()
            return True
        except (DeltaError, OSError, Unreachable) as error:
            if time.monotonic() + wait > deadline:
                said = str(error) if isinstance(error, Unreachable) else told(error)
                raise Conflict(f"cannot commit {what}: {said}") from error
            time.sleep(wait * random.uniform(0.5, 1.5))
            wait = min(2 * wait, 2.0)


def add_action(key: str, bytes: int, rig: str, metadata: pq.FileMetaData) -> AddAction:
    """The add action of a Parquet file that was written for a table, with statistics of its plain columns.

    key: relative to the table's folder, `rig=RIG/NAME`. Files hold rows of one rig, by `file_schema`.
    """
    rows = metadata.num_rows
    statistics: dict[str, Any] = {"numRecords": rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for column in range(metadata.num_columns):
        name = metadata.schema.column(column).path
        parts = [metadata.row_group(group).column(column).statistics for group in range(metadata.num_row_groups)]
        if name not in STATISTICS or not parts or not all(part is not None and part.has_min_max for part in parts):
            continue
        statistics["minValues"][name] = min(part.min for part in parts)
        statistics["maxValues"][name] = max(part.max for part in parts)
        if all(part.has_null_count for part in parts):
            statistics["nullCount"][name] = sum(part.null_count for part in parts)
    return AddAction(key, bytes, {"rig": rig}, int(time.time() * 1000), True, json.dumps(statistics))


# Columns that queries narrow by. Times have another form in Delta's statistics, and are left out.
STATISTICS = frozenset(
    ["scan", "encoder", "encoder_sha256", "sample", "container", "grid", "line", "pixel", "time_ns", "quality", "revision"]
)


def new_key(rig: str, scan: str) -> str:
    """A key that no other file of a table has, relative to the table's folder."""
    return f"rig={rig}/{scan}-{uuid.uuid4().hex}.parquet"


def parquet_writer(path: str | Path, table: str) -> pq.ParquetWriter:
    """A writer of one Parquet file of a table, with the schema `file_schema`."""
    # Floats of embeddings and spectra have no repeats that a dictionary would save.
    plain = [name for name in ("spectrum", "embedding", "x_mm", "y_mm", "novelty") if name in SCHEMAS[table].names]
    dictionary = [name for name in file_schema(table).names if name not in plain]
    return pq.ParquetWriter(
        str(path), file_schema(table), compression="zstd", compression_level=1, use_dictionary=dictionary, store_schema=False
    )
