"""The models against the daemon's own OpenAPI document: each key that a model reads exists there, with its type."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any, Union, get_args, get_origin

import pytest
from conftest import Daemon

from hyclus import Refused, Rig, events, models
from hyclus._decode import Misfit, Model, hints
from hyclus._http import refusal

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def document(daemon: Daemon) -> Schema:
    return Rig(daemon.socket).openapi()


class Document:
    """Schemas by name, with references resolved."""

    def __init__(self, document: Schema) -> None:
        self.schemas: Schema = document["components"]["schemas"]

    def resolved(self, schema: Schema) -> Schema:
        """The schema that a reference names, with what stands beside the reference."""
        if "$ref" not in schema:
            return schema
        found = self.resolved(self.schemas[schema["$ref"].rsplit("/", 1)[1]])
        return found | {"properties": found.get("properties", {}) | schema.get("properties", {}),
                        "required": found.get("required", []) + schema.get("required", [])}  # fmt: skip

    def shapes(self, schema: Schema) -> list[Schema]:
        """The objects that a schema allows, each as one schema of properties."""
        schema = self.resolved(schema)
        own = {"properties": schema.get("properties", {}), "required": schema.get("required", [])}
        inner = [self.resolved(each) for each in schema.get("oneOf", [])] or [{}]
        return [
            {"properties": own["properties"] | each.get("properties", {}), "required": own["required"] + each.get("required", [])}
            for each in inner
        ]

    def fits(self, kind: Any, schema: Schema) -> bool:
        """Whether every value of a schema can be read as a type."""
        schema = self.resolved(schema)
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any:
            return True
        if "anyOf" in schema:
            return all(self.fits(kind, each) for each in schema["anyOf"])
        if isinstance(kind, type) and issubclass(kind, Model):
            named = {"$ref": f"#/components/schemas/{kind.SCHEMA}"}  # type: ignore[attr-defined]
            return self.resolved(named) == schema
        if "const" in schema or all("const" in each for each in schema.get("oneOf", [{}])):
            return kind is str
        optional = origin in (Union, types.UnionType)
        of = schema.get("type")
        if isinstance(of, list):
            return optional and all(self.fits(kind, schema | {"type": each}) for each in of)
        if optional:
            return of == "null" or any(self.fits(each, schema) for each in arguments if each is not type(None))
        if origin is dict:
            inner = schema.get("additionalProperties", True)
            return of == "object" and (arguments[1] is Any or (isinstance(inner, dict) and self.fits(arguments[1], inner)))
        if origin is tuple:
            return of == "array" and self._fits_list(arguments, schema)
        return {str: "string", int: "integer", float: "number", bool: "boolean"}.get(kind) == of

    def _fits_list(self, arguments: tuple[Any, ...], schema: Schema) -> bool:
        if arguments[-1] is Ellipsis:
            return self.fits(arguments[0], schema["items"])
        if (schema["minItems"], schema["maxItems"]) != (len(arguments), len(arguments)):
            return False
        items = schema.get("prefixItems") or [schema["items"]] * len(arguments)
        return all(self.fits(kind, each) for kind, each in zip(arguments, items, strict=True))

    def misfits(self, cls: type[Model], shapes: list[Schema], skipped: tuple[str, ...] = ()) -> list[str]:
        """What a model reads and a schema does not promise."""
        found = []
        for field in dataclasses.fields(cls):
            if field.name == "raw" or field.name in skipped:
                continue
            having = [shape for shape in shapes if field.name in shape["properties"]]
            needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if not having:
                found.append(f"{cls.__name__}.{field.name}: there is no such key")
            elif needed and not all(field.name in shape["required"] for shape in shapes):
                found.append(f"{cls.__name__}.{field.name}: it may be absent")
            kind = hints(cls)[field.name]
            for shape in having:
                if not self.fits(kind, shape["properties"][field.name]):
                    found.append(f"{cls.__name__}.{field.name}: {shape['properties'][field.name]} is no {kind}")
        return found


MODELS = [cls for cls in vars(models).values() if isinstance(cls, type) and issubclass(cls, Model) and cls is not Model]


@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
def test_each_key_of_a_model_is_promised(cls: type[Model], document: Schema) -> None:
    of = Document(document)
    assert of.misfits(cls, of.shapes({"$ref": f"#/components/schemas/{cls.SCHEMA}"})) == []  # type: ignore[attr-defined]


def test_every_event_has_a_class_and_each_key_is_promised(document: Schema) -> None:
    of = Document(document)
    head = of.schemas["Event"]
    shapes = {each["properties"]["event"]["const"]: each for each in (of.resolved(each) for each in head["oneOf"])}
    assert set(shapes) == set(events.KINDS)
    flattened = {"progress": (events.ScanProgress, models.Progress), "reference_taken": (events.ReferenceTaken, models.ReferenceStatus)}
    for kind, shape in shapes.items():
        whole = {"properties": head["properties"] | shape["properties"], "required": head["required"] + shape["required"]}
        cls = events.KINDS[kind]
        assert of.misfits(cls, [whole], ("progress", "reference")) == [], kind
        if kind in flattened:
            assert of.misfits(flattened[kind][1], [whole]) == [], kind
    assert [kind for kind, (cls, _) in flattened.items() if events.KINDS[kind] is not cls] == []


def test_the_states_are_those_of_the_daemon(document: Schema) -> None:
    assert [each["const"] for each in document["components"]["schemas"]["StateName"]["oneOf"]] == list(models.STATES)


def test_every_call_of_the_daemon_is_known(document: Schema) -> None:
    """A call that is new in the daemon is either in the client, or is named here."""
    calls = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    left_out = {"archived", "live", "liveTap", "metrics"}
    in_client = {"status", "ready", "checkTray", "worklist", "heldWorklist", "putWorklist", "removeWorklist", "startScan", "scans", "scan", "stopScan", "darkReference", "whiteReference",
                 "lighting", "conveyor", "encoders", "replaceEncoder", "restoreEncoder", "emergencyStop", "acknowledge", "events",
                 "openapi"}  # fmt: skip
    assert calls == in_client | left_out


def test_the_check_finds_what_is_wrong(document: Schema) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Wrong(Model):
        state: int
        """It is a text."""
        pending: dict[str, Any]
        """It may be absent."""
        mood: str = ""
        """It is not there."""
        cause: str = ""
        """It may be null."""

    of = Document(document)
    # The annotations of a class within a function cannot be looked up by name.
    from hyclus import _decode

    _decode._HINTS[Wrong] = {"state": int, "pending": dict[str, Any], "mood": str, "cause": str, "raw": dict[str, Any]}
    found = " ".join(of.misfits(Wrong, of.shapes({"$ref": "#/components/schemas/Status"})))
    for words in ("Wrong.state: ", "Wrong.pending: it may be absent", "Wrong.mood: there is no such key", "Wrong.cause: "):
        assert words in found, (words, found)


FAULT = {"path": "tray", "problem": "is missing"}


def test_unknown_keys_are_passed_over_and_kept() -> None:
    fault = models.Fault.of(FAULT | {"colour": "red"})
    assert (fault.path, fault.problem, str(fault)) == ("tray", "is missing", "tray: is missing")
    assert fault.raw["colour"] == "red"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "the document is a list, and must be an object"),
        ({"path": "x"}, "problem is missing"),
        ({"path": 1, "problem": ""}, "path is a whole number, and must be a text"),
        ({"path": None, "problem": ""}, "path is null, and must be a text"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, words: str) -> None:
    with pytest.raises(Misfit, match=words):
        models.Fault.of(value)


def test_the_path_of_a_misfit_leads_to_it() -> None:
    counts = {"received": 1, "lost": 0, "expected": 1, "lost_pool": 0, "lost_link": 0, "unusable": 0, "gaps": [[1, 2], [3]]}
    progress = {"scan": "x", "position_mm": 1, "end_mm": 2.5, "samples": 0, "embeddings": 0, "cameras": {"vnir": counts}}
    with pytest.raises(Misfit, match=r"cameras\.vnir\.gaps\[1\] has 1 items, and must have 2"):
        models.Progress.of(progress)
    counts["gaps"] = [[1, True]]
    with pytest.raises(Misfit, match=r"cameras\.vnir\.gaps\[0\]\[1\] is true or false, and must be a whole number"):
        models.Progress.of(progress)
    counts["gaps"] = []
    assert models.Progress.of(progress).position_mm == 1.0


def test_an_event_of_an_unknown_kind_is_an_event() -> None:
    event = events.event_of({"id": 7, "time": "t", "event": "tray_lifted", "scan": "x"})
    assert type(event) is events.Event and (event.id, event.event, event.scan_id) == (7, "tray_lifted", "x")


def test_a_problem_is_carried_whole() -> None:
    faults = [{"path": "a", "problem": "b"}]
    body = json.dumps({"type": "urn:hyclus:problem:invalid", "title": "T", "detail": "d", "faults": faults, "more": 1}).encode()
    error = refusal("POST /v1/scans", "s", 422, "application/problem+json; charset=utf-8", body)
    assert isinstance(error, Refused)
    assert (str(error), error.status, error.kind, error.title) == ("d", 422, "urn:hyclus:problem:invalid", "T")
    assert error.problem["more"] == 1 and [str(fault) for fault in error.faults] == ["a: b"]
    plain = refusal("GET /v1/status", "s", 500, "text/html", b"<html>")
    assert isinstance(plain, Refused)
    assert str(plain) == "GET /v1/status was answered with 500" and plain.problem["status"] == 500
