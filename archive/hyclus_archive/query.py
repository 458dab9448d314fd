"""`query`: SQL over the tables, by DuckDB."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import Any

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from .errors import ArchiveError, Unreachable, told
from .place import Place, add_place, place_of
from .tables import SCHEMAS, find_table


# What errors in the SQL itself begin with. Their lines show where it is.
_OF_SQL = ("Parser Error", "Syntax Error", "Binder Error", "Catalog Error", "Conversion Error")


def register(commands: Any) -> None:
    parser = commands.add_parser("query", help='SQL over the tables: query PLACE "SELECT rig, count(*) FROM embeddings GROUP BY rig"')
    add_place(parser)
    parser.add_argument("sql", metavar="SQL")
    add_format(parser)
    parser.set_defaults(run=run)


def add_format(parser: argparse.ArgumentParser) -> None:
    """Adds how rows are printed."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one object in each line")
    form.add_argument("--csv", action="store_true", help="with a line of names first")


def run(arguments: argparse.Namespace) -> int:
    print_rows(query(place_of(arguments), arguments.sql), arguments.json, arguments.csv)
    return 0


def query(place: Place, sql: str) -> pa.RecordBatchReader:
    """Rows of one SQL statement over the tables, as a stream. Raises ArchiveError where it cannot be run."""
    connection = duckdb.connect()
    names = []
    for name in SCHEMAS:
        if (table := find_table(place, name)) is not None:
            try:
                connection.register(name, table.to_pyarrow_dataset())
            except (DeltaError, OSError) as error:
                raise Unreachable(f"{place.name}: table {name}: {told(error)}") from error
            names.append(name)
    if not names:
        raise ArchiveError(f"{place.name} has no tables yet; run: hyclus-archive serve {place.name}")
    try:
        # A query reads the tables and nothing else: no file of this machine, and no address.
        connection.execute("SET enable_external_access = false")
        # Times are printed as they are stored.
        connection.execute("SET TimeZone = 'UTC'")
        # A statement that is no query, such as CREATE, gives nothing.
        relation: Any = connection.sql(sql)
        return relation.to_arrow_reader(8192) if relation is not None else pa.RecordBatchReader.from_batches(pa.schema([]), [])
    except (duckdb.Error, OSError) as error:
        raise ArchiveError(_said(error)) from error


def print_rows(rows: pa.RecordBatchReader, as_json: bool, as_csv: bool) -> None:
    """Prints rows as they come; a table for people is aligned by its first 1000 rows."""
    try:
        if as_json:
            for batch in rows:
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    print(json.dumps(row, default=str, ensure_ascii=False))
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(rows.schema.names)
            for batch in rows:
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    writer.writerow([_plain(value) for value in row.values()])
        else:
            _print_table(rows)
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise ArchiveError(_said(error)) from error


def _said(error: Exception) -> str:
    text = str(error).strip()
    return text if text.startswith(_OF_SQL) else told(error)


def _print_table(rows: pa.RecordBatchReader) -> None:
    names = rows.schema.names
    widths: list[int] = []
    waiting: list[list[str]] = []

    def flush() -> None:
        nonlocal widths
        if not widths:
            widths = [max(len(line[column]) for line in [names, *waiting]) for column in range(len(names))]
            print("  ".join(name.ljust(width) for name, width in zip(names, widths)).rstrip())
        for line in waiting:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
        waiting.clear()

    for batch in rows:
        for row in batch.to_pylist(maps_as_pydicts="strict"):
            waiting.append([_short(_plain(value)) for value in row.values()])
            if len(waiting) >= 1000:
                flush()
    flush()


def _plain(value: Any) -> Any:
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, (dict, list)) else "" if value is None else value


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value).replace("\n", " ")
    return text if len(text) <= 60 else text[:59] + "…"
