"""Takes one scan: verifies its objects, makes a Parquet file for each table, and commits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from . import rows
from .errors import ArchiveError, Damaged, Unreachable
from .place import Place
from .shipped import SMALL, Item, Shipped, fault_of_content, faults_of_sizes, prefix_of, verified
from .tables import SCHEMAS, add_action, commit_once, done, file_schema, new_key, of_scan, parquet_writer

GROUP_BYTES = 32 << 20


class TableFile:
    """A local Parquet file of one table. Row groups hold about 32 MiB; an empty file is not written."""

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
            self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if self._waiting:
            self._writer = self._writer or parquet_writer(self.path, self.table)
            group = pa.Table.from_batches(self._waiting)
            self._writer.write_table(group, row_group_size=len(group))
        self._waiting, self._bytes = [], 0

    def read(self, rig: str) -> pa.RecordBatchReader:
        """The rows with `rig`, as a stream."""
        schema = SCHEMAS[self.table]

        def batches() -> Iterator[pa.RecordBatch]:
            if self.rows:
                with pq.ParquetFile(self.path) as file:
                    for batch in file.iter_batches(8192):
                        columns = [pa.repeat(rig, len(batch)), *(batch[name].cast(schema.field(name).type) for name in schema.names[1:])]
                        yield pa.record_batch(columns, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


def take(place: Place, tables: dict[str, DeltaTable], shipped: Shipped, everything: bool) -> dict[str, int]:
    """Takes a whole revision into all tables, `scans` last. Raises Damaged before anything is committed.

    everything: whether the raw recording's hashes are compared too. Returns the rows of each table. Memory holds a row group of each
    table at most, whatever a scan's size; the files lie in the folder for temporary files meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="hyclus-archive-") as folder:
        files = {table: TableFile(Path(folder), table) for table in SCHEMAS}
        faults = faults_of_sizes(shipped)
        if not faults:
            faults = _fill(place, shipped, files, Path(folder), everything)
        if faults:
            raise Damaged(shipped.rig, shipped.scan, faults)
        for name, file in files.items():
            file.close()
            _commit(place, tables[name], shipped, file)
        return {name: file.rows for name, file in files.items()}


def _commit(place: Place, table: DeltaTable, shipped: Shipped, file: TableFile) -> None:
    table.update_incremental()
    if done(table, shipped.app_id, shipped.revision):
        return
    actions = []
    # An earlier revision may have rows in one file with other scans, so its rows are replaced, not its files.
    if file.rows and table.transaction_version(shipped.app_id) is None:
        key = new_key(shipped.rig, shipped.scan)
        size = place.put(file.path, f"tables/{file.table}/{key}")
        actions = [add_action(key, size, shipped.rig, pq.read_metadata(file.path))]
    rows_of = of_scan(shipped.rig, shipped.scan)
    commit_once(table, shipped.app_id, shipped.revision, lambda: file.read(shipped.rig), rows_of, actions)


def _fill(place: Place, shipped: Shipped, files: dict[str, TableFile], folder: Path, everything: bool) -> list[str]:
    """Reads and verifies all files of a scan, and writes the rows of all tables. Returns the faults; rows are of no use with one."""
    faults: list[str] = []
    used: set[str] = set()
    record, scan = shipped.record, shipped.scan
    grid: rows.Grid | None = None
    try:
        containers = {container["at"]: container for container in record["tray"]["containers"]}
        keys = list(record["tray"].get("keys", []))
        samples = [(sample, containers.get(sample["container"], {}), str(sample["file"])) for sample in record["samples"]]
    except (KeyError, TypeError, AttributeError) as error:
        return [f"{prefix_of(shipped.rig, scan)}: scan.json is not as hyclus writes it: {error!r}"]
    for sample, container, file in samples:
        used.add(file)
        item = shipped.items.get(file)
        if item is None:
            faults.append(f"{prefix_of(shipped.rig, scan)}/{file} is not among `files` of scan.json")
            continue
        with _faults(item, faults), verified(place, item, folder) as path, rows.SampleFile(path) as opened:
            own = opened.grid()
            grid = grid or own
            if own != grid:
                raise ArchiveError("its bands are not those of the scan's other samples")
            row = rows.sample_row(scan, sample, container, item.key, opened.mean())
            files["samples"].write(pa.RecordBatch.from_pylist([row], schema=file_schema("samples")))
            own_keys = {name: str(value) for name, value in container.get("keys", {}).items()}
            for batch in opened.spectra(scan, grid.id, sample["sample"], sample["container"], own_keys):
                files["spectra"].write(batch)
    for item in shipped.items.values():
        data_set, _, part = item.rest.partition("/")
        if not part.endswith(".parquet") or not (data_set == "minerals" or data_set == "embeddings" or data_set.startswith("embeddings-")):
            continue
        used.add(item.rest)
        with _faults(item, faults), verified(place, item, folder) as path:
            if data_set == "minerals":
                for batch in rows.mineral_rows(path, scan, keys):
                    files["minerals"].write(batch)
            else:
                encoder = "main" if data_set == "embeddings" else data_set.removeprefix("embeddings-")
                for batch in rows.embedding_rows(path, scan, encoder, keys):
                    files["embeddings"].write(batch)
    for item in shipped.items.values():
        if item.rest not in used and item.stored is not None and (everything or not item.raw or item.bytes <= SMALL):
            if fault := fault_of_content(place, item):
                faults.append(fault)
    if not faults:
        try:
            row = rows.scan_row(scan, shipped.revision, record, grid, files["embeddings"].rows, files["spectra"].rows)
            files["scans"].write(pa.RecordBatch.from_pylist([row], schema=file_schema("scans")))
        except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
            faults.append(f"{prefix_of(shipped.rig, scan)}: scan.json is not as hyclus writes it: {error!r}")
    return faults


@contextmanager
def _faults(item: Item, faults: list[str]) -> Iterator[None]:
    """Notes what is wrong with one file, and goes on with the others. A failing storage is no fault of the scan."""
    try:
        yield
    except Unreachable:
        raise
    except ArchiveError as error:
        text = str(error)
        faults.append(text if text.startswith(item.key) else f"{item.key}: {text}")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError, RuntimeError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # The operating system refused, such as on a full disk. Files that cannot be understood have no number of an error.
            raise Unreachable(f"{item.key}: {error}; free some room, or set TMPDIR") from error
        # The hash is right, so the rig wrote it like this.
        faults.append(f"{item.key} cannot be read: {error}")
