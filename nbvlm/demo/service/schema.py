"""Check request bodies strictly, and list their faults as FastAPI does.

>>> from nbvlm import endpoints
>>> from nbvlm.demo.service.schema import Faults, number
>>> faults = Faults()
>>> number(faults, ("body", "top_p"), 1.5, endpoints.get("demo").parameter("top_p"))
0.7
>>> faults.as_list()
[{'type': 'less_than_equal', 'loc': ['body', 'top_p'], 'msg': 'Input should be less than or equal to 1'}]
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from nbvlm.demo.service.messages import Request
    from nbvlm.endpoints import Parameter

__all__ = ["Faults", "Invalid", "Loc", "flag", "members", "number", "read_json"]

Loc: TypeAlias = tuple[str | int, ...]
_VALUES_MOST = 50_000  # each takes up to 30 times its bytes in memory
_ENOUGH = 64  # unknown members that are listed, and characters of each name


class Invalid(Exception):
    """The body does not fit the schema; `faults` lists where."""

    def __init__(self, faults: Faults) -> None:
        super().__init__("the request body is not valid")
        self.faults = faults


class Faults:
    """Collects the faults of a body."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []

    def add(self, loc: Loc, kind: str, message: str) -> None:
        """Add one fault."""
        self._found.append({"type": kind, "loc": list(loc), "msg": message})

    def stop(self, loc: Loc, kind: str, message: str) -> Invalid:
        """Add a fault that ends the reading; returns the exception to raise."""
        self.add(loc, kind, message)
        return Invalid(self)

    def check(self) -> None:
        """Raise `Invalid` if the check found faults."""
        if self._found:
            raise Invalid(self)

    def as_list(self) -> list[dict[str, Any]]:
        """Return the faults as the value of `detail`."""
        return list(self._found)

    def __str__(self) -> str:
        """Return all faults on one line, for dialects with a single message."""
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in self._found)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def read_json(request: Request) -> dict[str, Any]:
    """Decode the body of a request, which must be a JSON object."""
    dictionary = "Input should be a valid dictionary or object to extract fields from"
    most = len(request.body) // 2  # a value and what separates it from the next one are two bytes at least
    if most > _VALUES_MOST and sum(map(request.body.count, b",[{")) > _VALUES_MOST:
        raise Faults().stop(("body",), "too_long", f"The body has more than {_VALUES_MOST:,} values")
    try:
        value = json.loads(request.body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Faults().stop(("body", getattr(error, "pos", 0)), "json_invalid", "JSON decode error") from None
    if not isinstance(value, dict):
        raise Faults().stop(("body",), "model_attributes_type", dictionary)
    return value


def members(faults: Faults, loc: Loc, value: Any, allowed: str) -> dict[str, Any]:
    """Check that `value` is an object whose members are all in `allowed`; return it, empty after a fault."""
    if not isinstance(value, dict):
        faults.add(loc, "model_attributes_type", "Input should be a valid dictionary or object")
        return {}
    for name in sorted(value.keys() - set(allowed.split()))[:_ENOUGH]:
        faults.add((*loc, name[:_ENOUGH]), "extra_forbidden", "Extra inputs are not permitted")
    return value


def number(faults: Faults, loc: Loc, value: Any, parameter: Parameter) -> float:
    """Check a number and return it, the default after a fault; booleans and strings are faults."""
    kind = "integer" if parameter.integer else "number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        faults.add(loc, "int_type" if parameter.integer else "float_type", f"Input should be a valid {kind}")
    elif complaint := _complaint(value, parameter):
        faults.add(loc, *complaint)
    elif parameter.integer and value != int(value):
        message = "Input should be a valid integer, got a number with a fractional part"
        faults.add(loc, "int_from_float", message)
    else:
        return int(value) if parameter.integer else float(value)
    return parameter.default


def _complaint(value: float, parameter: Parameter) -> tuple[str, str] | None:
    """Type and message of the fault when `value` is out of range; else None."""
    if parameter.low_open and not value > parameter.low:
        return "greater_than", f"Input should be greater than {parameter.low:g}"
    if not value >= parameter.low:
        return "greater_than_equal", f"Input should be greater than or equal to {parameter.low:g}"
    if not value <= parameter.high:
        return "less_than_equal", f"Input should be less than or equal to {parameter.high:g}"
    return None


def flag(faults: Faults, loc: Loc, value: Any) -> bool:
    """Check a boolean; anything else is a fault and read as False."""
    if not isinstance(value, bool):
        faults.add(loc, "bool_type", "Input should be a valid boolean")
        return False
    return value
