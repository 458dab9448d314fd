"""The data root: samples as xarray, embeddings and minerals as pyarrow data sets. No daemon is needed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._decode import Misfit
from ._parts import FORMAT_VERSIONS, following, part_files
from .errors import HyclusError, MissingExtra, NoData, Unreadable
from .models import ScanRecord

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import xarray as xr

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
GROUP = "/entry/reflectance"
RECORD_VERSION = 1
SAMPLE_VERSION = 1


class DataRoot:
    """A data root, such as `rig.data_dir` of a configuration.

    Raises `NoData` where the folder is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # Before the first scan there is the lock alone.
        if not ((self.path / "scans").is_dir() or (self.path / ".lock").exists()):
            raise NoData(
                f"{self.path} is no data root: it has no folder `scans`. Name rig.data_dir of the configuration, with data= or HYCLUS_DATA."
            )

    def __repr__(self) -> str:
        return f"DataRoot({str(self.path)!r})"

    def scans(self) -> list[str]:
        """Ids of the scans, oldest first."""
        found = (self.path / "scans").glob("*/scan.json")
        return sorted(file.parent.name for file in found if NAME.fullmatch(file.parent.name))

    def record(self, scan: str) -> ScanRecord:
        """`scan.json` of a scan. That of a running scan has no samples yet.

        Raises `NoData` for an unknown scan, and `Unreadable` for a newer format.
        """
        path = self._folder(scan) / "scan.json"
        try:
            value = json.loads(path.read_bytes())
            version = value.get("format_version", 1) if isinstance(value, dict) else 1
            if version != RECORD_VERSION:
                raise HyclusError(f"{path} has the format {version}. This client reads {RECORD_VERSION}; install a newer one.")
            record: ScanRecord = ScanRecord.of(value)
        except OSError as error:
            raise NoData(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, Misfit) as error:
            raise Unreadable(str(path), str(error)) from error
        return record

    def _folder(self, scan: str) -> Path:
        folder = self.path / "scans" / scan
        if not NAME.fullmatch(scan) or not (folder / "scan.json").is_file():
            raise NoData(f"{self.path} holds no scan {scan!r}. scans() lists those that are there.")
        return folder

    def samples(self, scan: str) -> Samples:
        """The samples of a scan by name, each opened when it is asked for."""
        return Samples(self._folder(scan) / "samples")

    def embeddings(self, scan: str | None = None, encoder: str = "main") -> ds.Dataset:
        """The embeddings of one scan or of all, with the column `scan`.

        Raises `NoData` where there are none, and where scans differ in the dimension of their embeddings.
        """
        return self._data_set(self._embeddings_folder(encoder), scan, "embeddings")

    def minerals(self, scan: str | None = None) -> ds.Dataset:
        """The minerals of the judged pixels of one scan or of all, with the column `scan`."""
        return self._data_set(self.path / "minerals", scan, "minerals")

    def follow(self, scan: str | None = None, encoder: str = "main", poll_s: float = 0.2) -> Iterator[pa.RecordBatch]:
        """Embeddings as parts close, each row once, with the column `scan`.

        With a scan, it begins with the rows that are there, and ends with the scan. Without one, it gives the rows of all parts that close
        from now on, and does not end. Raises `Superseded` where rows that were given have been made again.
        """
        if scan is not None:
            folder, record = self._folder(scan), self.record(scan)
            if encoder not in record.encoder_names():
                raise NoData(f"the scan {scan} has no encoder {encoder!r}. It has {', '.join(record.encoder_names())}.")
            return following(self._embeddings_folder(encoder), scan, encoder, poll_s, folder / "scan.json")
        return following(self._embeddings_folder(encoder), None, encoder, poll_s, None)

    def _embeddings_folder(self, encoder: str) -> Path:
        if not NAME.fullmatch(encoder):
            raise NoData(f"{encoder!r} is no name of an encoder.")
        return self.path / ("embeddings" if encoder == "main" else f"embeddings-{encoder}")

    def _data_set(self, folder: Path, scan: str | None, what: str) -> ds.Dataset:
        try:
            import pyarrow as pa
            import pyarrow.dataset as ds
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtra("pyarrow", what) from error
        if scan is not None:
            self._folder(scan)
        files = part_files(folder, scan)
        if not files:
            of_scan = f"the scan {scan} has none. Is it still running, or are they pending (record().pending)?"
            of = "no scan has any" if scan is None else of_scan
            raise NoData(f"there are no {what} in {folder}: {of}")
        schemas: dict[str, pa.Schema] = {}
        for file in files:
            # All parts of a scan have one schema.
            if file.parent.name not in schemas:
                schemas[file.parent.name] = pq.read_schema(file)
                checked(schemas[file.parent.name], file)
        partition = pa.schema([("scan", pa.string())])
        return ds.dataset(
            [str(file) for file in files],
            schema=pa.schema([*united(schemas, folder), partition.field("scan")]),
            format="parquet",
            partitioning=ds.partitioning(partition, flavor="hive"),
            partition_base_dir=str(folder),
        )


def united(schemas: dict[str, pa.Schema], folder: Path) -> list[pa.Field]:
    """The columns of all scans. Trays differ in their keys: a key that a scan lacks is null there."""
    fields: dict[str, tuple[str, pa.Field]] = {}
    for scan, schema in schemas.items():
        for field in schema:
            first, known = fields.setdefault(field.name, (scan, field))
            if known.type != field.type:
                raise NoData(
                    f"scans in {folder} differ: {field.name} is {known.type} in {first} and {field.type} in {scan}. Name one scan. "
                    "An encoder was replaced, or some scans are of an older format (`hyclus upgrade`)."
                )
    return [
        field if all(field.name in each.names for each in schemas.values()) else field.with_nullable(True) for _, field in fields.values()
    ]


def checked(schema: pa.Schema, file: Path) -> None:
    """Refuses a part of a newer format."""
    metadata = schema.metadata or {}
    version = metadata.get(b"hyclus.format_version", b"1").decode("ascii", "replace")
    known = FORMAT_VERSIONS["minerals" if b"hyclus.library" in metadata else "embeddings"]
    if not version.isdigit() or int(version) > known:
        raise HyclusError(f"{file} has the format {version}. This client reads up to {known}; install a newer one.")


class Samples(Mapping[str, "xr.Dataset"]):
    """Samples by name. A data set is opened when it is asked for, and reads values when they are used.

    A sample that lies in several containers has a name for each, that of its file. `close()`, or the end of `with`, closes the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, xr.Dataset] = {}

    def path(self, name: str) -> Path:
        """The file of a sample. Raises `KeyError` where there is none."""
        if name not in self._names():
            raise KeyError(f"{name!r} is no sample in {self.folder}; there are {', '.join(self._names()) or 'none'}")
        return self.folder / f"{name}.h5"

    def _names(self) -> list[str]:
        return sorted(file.stem for file in self.folder.glob("*.h5") if not file.name.startswith("."))

    def __getitem__(self, name: str) -> xr.Dataset:
        if name not in self._open:
            self._open[name] = opened(self.path(name))
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __repr__(self) -> str:
        return f"<samples in {self.folder}: {', '.join(self._names()) or 'none'}>"

    def close(self) -> None:
        """Closes the files. A sample that is asked for again is opened again."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Samples:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def opened(path: Path) -> xr.Dataset:
    """A sample's cube, mask and quality, with its keys as attributes.

    Variables: `reflectance` (line, pixel, wavelength), `mask` and `quality` (line, pixel). Coordinates: `line` and `pixel` in mm,
    `wavelength` and `fwhm` in nm, `time`.
    """
    try:
        import h5netcdf
        import xarray as xr
    except ImportError as error:
        raise MissingExtra(getattr(error, "name", None) or "xarray", "samples") from error
    with h5netcdf.File(path, "r") as file:
        version = int(file.attrs.get("hyclus_format_version", 1))
        if version > SAMPLE_VERSION:
            raise HyclusError(f"{path} has the format {version}. This client reads up to {SAMPLE_VERSION}; install a newer one.")
    data: Any = xr.open_dataset(path, engine="h5netcdf", group=GROUP)
    sample: xr.Dataset = data
    return sample
