"""Takes one scan: verifies its objects, makes a Parquet file for each table, and commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from . import rows
from .errors import ArchiveError, Damaged, Unreachable
from .place import Place
from .shipped import SMALL, Item, Shipped, fault_of_content, faults_of_sizes, prefix_of, verified
from .tables import SCHEMAS, Action, commit_once, done, file_schema, refresh, version_of
from .writing import Replacement, TableFile, no_room, put, temporary_folder


def take(place: Place, tables: dict[str, DeltaTable], shipped: Shipped, everything: bool) -> dict[str, int]:
    """Takes a whole revision into all tables, `scans` last. Raises Damaged before anything is committed, Unreachable.

    everything: whether the raw recording's hashes are compared too. Returns the rows of each table. Memory holds a row group of each
    table at most, whatever a scan's size; the files lie in the folder for temporary files meanwhile.
    """
    with temporary_folder() as folder:
        files = {table: TableFile(folder, table) for table in SCHEMAS}
        faults = faults_of_sizes(shipped)
        if not faults:
            faults = _fill(place, shipped, files, folder, everything)
        if faults:
            raise Damaged(shipped.rig, shipped.scan, faults)
        for name, file in files.items():
            file.close()
            _commit(place, tables[name], shipped, file, folder)
        return {name: file.rows for name, file in files.items()}


def _commit(place: Place, table: DeltaTable, shipped: Shipped, file: TableFile, folder: Path) -> None:
    refresh(table)
    if done(table, shipped.app_id, shipped.revision):
        return
    added = [put(place, file, shipped.rig, shipped.scan)] if file.rows else []
    replacement = Replacement(place, shipped.rig, shipped.scan, added, folder)

    def actions() -> list[Action]:
        # A look for the rows of an earlier revision costs time with every file of the table.
        if version_of(table, shipped.app_id) is None:
            return [*added]
        return replacement.actions(table)

    commit_once(table, shipped.app_id, shipped.revision, actions)


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
            raise no_room(f"{item.key}: {error}") from error
        # The hash is right, so the rig wrote it like this.
        faults.append(f"{item.key} cannot be read: {error}")
