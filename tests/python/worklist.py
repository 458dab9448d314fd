"""Judges worklists and their results by frictionless, offline.

usage: worklist.py RESULTS SCHEMA.json LIST.csv REFUSED.csv...

RESULTS is what `hyclus export worklist` wrote for LIST.csv. The schema must accept LIST.csv, and refuse the lists that the daemon refused.
"""

import json
import pathlib
import shutil
import socket
import sys
import tempfile

from frictionless import Package, Resource, Schema, system

REACHED = []


def offline(*arguments):
    REACHED.append(arguments)
    raise OSError("this test has no network")


def faults(report):
    """What is wrong, as (row, column, kind)."""
    if not report.tasks:
        return {(None, None, error.type) for error in report.errors}
    return {tuple(error) for error in report.flatten(["rowNumber", "fieldName", "type"])}


def broken(results, edit):
    """The faults of a copy of a package, edited. `edit` takes the descriptor and the table, and gives the table."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(shutil.copytree(results, pathlib.Path(folder) / "copy"))
        package, table = copy / "datapackage.json", copy / "results.csv"
        descriptor = json.loads(package.read_text())
        table.write_bytes(edit(descriptor["resources"][0], table.read_bytes()))
        package.write_text(json.dumps(descriptor))
        return faults(Package(package).validate())


def can_fail(results):
    """Breaks a package in ways that must be seen."""

    def without_sums(resource):
        del resource["bytes"], resource["hash"]

    def other_cell(resource, table):
        return table.replace(b",north,", b",south,", 1)

    def other_state(resource, table):
        without_sums(resource)
        return table.replace(b",rescanned,", b",unscanned,", 1)

    def cut(resource, table):
        return b"".join(table.splitlines(keepends=True)[:-1])

    def doubled(resource, table):
        without_sums(resource)
        return table + table.splitlines(keepends=True)[1]

    def no_number(resource, table):
        without_sums(resource)
        return table.replace(b",2,", b",two,", 1)

    def other_columns(resource, table):
        without_sums(resource)
        return table.replace(b"state,tray", b"tray,state", 1)

    for edit, kind in (
        (other_cell, "hash-count"),
        (other_state, "constraint-error"),
        (cut, "byte-count"),
        (doubled, "primary-key"),
        (no_number, "type-error"),
        (other_columns, "incorrect-label"),
    ):
        found = broken(results, edit)
        assert kind in {fault[2] for fault in found}, f"{edit.__name__}: {found}"


def main():
    results, schema, listed, refused = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    report = Package(results / "datapackage.json").validate()
    assert report.valid and report.tasks, faults(report)
    can_fail(results)

    # The lists may lie anywhere.
    system.trusted = True
    report = Schema.validate_descriptor(schema)
    assert report.valid, faults(report)
    by_schema = lambda path: faults(Resource(path=path, schema=schema).validate())
    assert not by_schema(listed), by_schema(listed)
    for path in refused:
        found = by_schema(path)
        assert any(row for row, _, _ in found), f"{path}: the daemon refuses a row, and the schema none: {found}"

    # What the list said comes back.
    asked = {row["sample"]: row for row in Resource(path=listed, schema=schema).read_rows()}
    given = Package(results / "datapackage.json").get_resource("results").read_rows()
    assert [row["sample"] for row in given] == list(asked)
    for row in given:
        ours, found = asked[row["sample"]], row["state"] != "missing"
        assert (row["tray"], found) == (ours["tray"], row["scan"] is not None), row
        if found:
            assert row["key.barcode"] == ours["barcode"] and row["scanned"].utcoffset() is not None, row
            assert 0 < row["valid"] <= row["pixels"] and row["scans"] >= 1, row


socket.socket.connect = socket.getaddrinfo = offline
main()
assert not REACHED, REACHED
