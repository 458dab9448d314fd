"""JSON into typed models: unknown keys are passed over, missing ones are named with their path."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["Misfit", "Model", "decode", "hints"]

M = TypeVar("M", bound="Model")


class Misfit(Exception):
    """A value is missing, or of another type."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'the document'} {problem}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Base of all models."""

    raw: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """The JSON object as it came, with keys that this version does not know."""

    @classmethod
    def of(cls: type[M], value: Any, path: str = "") -> M:
        """A model from a JSON object. Raises `Misfit`."""
        if not isinstance(value, dict):
            raise Misfit(path, f"is {_name(value)}, and must be an object")
        values: dict[str, Any] = {"raw": value}
        types_of = hints(cls)
        for field in dataclasses.fields(cls):
            if field.name == "raw":
                continue
            key = field.metadata.get("key", field.name)
            inner = f"{path}.{key}" if path else key
            if key in value:
                values[field.name] = decode(types_of[field.name], value[key], inner)
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise Misfit(inner, "is missing")
        return cls(**values)


_HINTS: dict[type, dict[str, Any]] = {}


def hints(cls: type) -> dict[str, Any]:
    """Types of the fields of a model."""
    if cls not in _HINTS:
        _HINTS[cls] = get_type_hints(cls)
    return _HINTS[cls]


def decode(kind: Any, value: Any, path: str) -> Any:
    """A value of a type. Raises `Misfit`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return decode(inner, value, path)
    if origin is tuple:
        return _decode_tuple(arguments, value, path)
    if origin is dict:
        if not isinstance(value, dict):
            raise Misfit(path, f"is {_name(value)}, and must be an object")
        return {key: decode(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, Model):
        return kind.of(value, path)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Misfit(path, f"is {_name(value)}, and must be {_WORDS[kind]}")
    return value


def _decode_tuple(arguments: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Misfit(path, f"is {_name(value)}, and must be a list")
    if arguments[-1] is Ellipsis:
        return tuple(decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise Misfit(path, f"has {len(value)} items, and must have {len(arguments)}")
    return tuple(decode(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(arguments, value, strict=True)))


_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _name(value: Any) -> str:
    return _WORDS.get(type(value), type(value).__name__)
