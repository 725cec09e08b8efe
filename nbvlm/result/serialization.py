"""Turn results into plain data and back, exactly.

A mask is kept as COCO run lengths, the picture by its hash. Labels in any script stay readable in the JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from nbvlm._text import shorten, visible
from nbvlm.errors import ImageError, ParameterError
from nbvlm.grounding import Detections, Problem, Reading, decoded, encode_rle, read_rle
from nbvlm.images import Picture
from nbvlm.result.values import ResultData, Sent, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.grounding import MaskCrop, RunLengths
    from nbvlm.images import ImageSource

__all__ = ["FORMAT", "SavedResult", "from_dict", "from_json", "to_dict", "to_json"]

FORMAT = "nbvlm-result/1"
_HINT = "Pass what `to_json` or `to_dict` of a result returned."

R = TypeVar("R", bound=ResultData)

_PLAIN = (
    "text", "finish_reason", "request_id", "model", "prompt", "route", "has_locations", "endpoint", "created",
    "base_url", "assets_url", "reasoning", "asked",
)  # fmt: skip


def to_dict(result: ResultData, *, masks: bool = True) -> dict[str, Any]:
    """Turn a result into plain data; see `Result.to_dict`. Without `masks`, those with codes stay codes."""
    return {
        "format": FORMAT,
        **{name: getattr(result, name) for name in _PLAIN},
        "parameters": dict(result.parameters),
        "usage": result.usage and asdict(result.usage),
        "sent": asdict(result.sent),
        "timing": asdict(result.timing),
        "picture": _fields(result.picture, "name mime width height sha256"),
        "problems": [_fields(problem, "kind position text") for problem in result.problems],
        "notices": list(result.notices),
        "detections": detections_to_dict(result.detections, masks=masks),
    }


def detections_to_dict(detections: Detections, *, masks: bool = True) -> dict[str, Any]:
    """Turn detections into plain data; masks that cannot be decoded here stay codes with their codebook."""
    size = detections.size
    crops: Sequence[MaskCrop | None]
    if masks:
        crops = decoded(detections).mask_crops
    else:  # a mask without codes could not be decoded later
        crops = [mask.crop() if mask.codes is None else None for mask in detections.lazy_masks]
    shapes = [crop and encode_rle(crop, size) for crop in crops]
    book = detections.codebook
    return {
        "size": list(size),
        "codebook": book if isinstance(book, str) else getattr(book, "name", None),
        "items": [
            {"label": label, "box": box, "codes": codes and list(codes), "mask": shape} | written
            for label, box, codes, shape, written in zip(
                detections.labels,
                detections.xyxy.tolist(),
                detections.codes,
                shapes,
                map(_written, detections.points, detections.raw, detections.readings),
                strict=True,
            )
        ],
    }


def _written(
    point: tuple[float, float] | None, raw: tuple[float, ...] | None, reading: Reading | None
) -> dict[str, Any]:
    """Return the point, the model's numbers and their reading, as far as known."""
    fields: dict[str, Any] = {}
    if point is not None:
        fields["point"] = list(point)
    if raw is not None:
        fields["raw"] = list(raw)
    if reading is not None:
        fields["reading"] = {
            "order": reading.order,
            "frame": list(reading.frame),
            "origin": list(reading.origin),
        }
    return fields


Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Side = Annotated[int, Meta(ge=1, le=2**31)]
Corner = Annotated[float, Meta(ge=-1e12, le=1e12)]
Frame = Annotated[float, Meta(gt=0, le=1e12)]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")]
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Annotated[float, Meta(ge=-1e308, le=1e308)]


class _Usage(Struct):
    prompt_tokens: Count | None
    completion_tokens: Count | None
    total_tokens: Count | None


class _Sent(Struct):
    mime: str
    width: Side
    height: Side
    bytes: Count


class _Timing(Struct):
    upload_s: Seconds | None
    first_token_s: Seconds | None
    total_s: Seconds
    bytes_sent: Count


class _Picture(Struct):
    name: str | None
    mime: Literal["image/png", "image/jpeg"]
    width: Side
    height: Side
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Problem(Struct):
    kind: str
    position: Count
    text: str


class _Mask(Struct):
    size: tuple[Side, Side]
    counts: str | list[Count]


class _Reading(Struct):
    order: Literal["xyxy", "yxyx"]
    frame: tuple[Frame, Frame]
    origin: tuple[Corner, Corner]


class _Item(Struct):
    label: str
    box: tuple[Corner, Corner, Corner, Corner]
    codes: Annotated[list[Count], Meta(min_length=16, max_length=16)] | None
    mask: _Mask | None
    point: tuple[Corner, Corner] | None = None
    raw: Annotated[list[Corner], Meta(max_length=100_000)] | None = None
    reading: _Reading | None = None


class _Detections(Struct):
    size: tuple[Side, Side]
    codebook: str | None
    items: list[_Item]


class SavedResult(Struct):
    """The fields of a saved result and their kinds; a line of a journal has more, which are passed over."""

    text: str
    finish_reason: str | None
    request_id: str | None
    model: str
    prompt: str
    route: Literal["inline", "asset"]
    has_locations: bool
    endpoint: str
    created: str
    base_url: str | None
    assets_url: str | None
    parameters: dict[Name, Number]
    usage: _Usage | None
    sent: _Sent
    timing: _Timing
    picture: _Picture
    problems: list[_Problem]
    notices: list[str]
    detections: _Detections
    reasoning: str = ""
    asked: str = ""


def from_dict(cls: type[R], data: Mapping[str, Any], picture: ImageSource | None = None) -> R:
    """Turn plain data back into a result; see `Result.from_json`."""
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        shown = shorten(repr(found), 80)
        raise ParameterError(f"A saved result must have the format {FORMAT!r}, got {shown}.", hint=_HINT)
    try:
        saved = msgspec.convert(data, SavedResult)
        return cls(
            **{name: getattr(saved, name) for name in _PLAIN},
            parameters=saved.parameters,
            usage=Usage(**msgspec.structs.asdict(saved.usage)) if saved.usage is not None else None,
            sent=Sent(**msgspec.structs.asdict(saved.sent)),
            timing=Timing(**msgspec.structs.asdict(saved.timing)),
            picture=_picture(saved.picture, picture),
            problems=tuple(Problem(item.kind, item.position, item.text) for item in saved.problems),
            notices=tuple(saved.notices),
            detections=_detections(saved.detections, (saved.picture.width, saved.picture.height)),
        )
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise _damaged(_field(error)) from error


def _damaged(reason: str) -> ParameterError:
    return ParameterError(f"The saved result is damaged: {visible(reason)}.", hint=_HINT)


def _field(error: Exception) -> str:
    """Say first which field is wrong: `sent.width: expected int, got str`."""
    what, _, where = str(error).replace("`", "").partition(" - at ")
    place = where.replace("$.", "").removeprefix("$")
    return f"{place}: {what[:1].lower()}{what[1:]}" if place else what


def _detections(saved: _Detections, size: tuple[int, int]) -> Detections:
    if saved.size != size:
        raise _damaged(f"detections.size: {list(saved.size)} is not the size of the picture, {list(size)}")
    # Run lengths pass through as they are; the types of Detections name what is given by hand.
    masks: list[Any] = [_mask(item.mask, size, at) for at, item in enumerate(saved.items)]
    return Detections(
        [item.box for item in saved.items],  # lists become an array there
        tuple(item.label for item in saved.items),
        size,
        masks,
        codes=tuple(tuple(item.codes) if item.codes is not None else None for item in saved.items),
        codebook=saved.codebook,
        points=tuple(item.point for item in saved.items),
        raw=tuple(tuple(item.raw) if item.raw is not None else None for item in saved.items),
        readings=tuple(_reading(item.reading) for item in saved.items),
    )


def detections_from_dict(data: Any, size: tuple[int, int]) -> Detections:
    """Turn plain data, as `detections_to_dict` writes them, back into detections of a picture of `size`."""
    try:
        return _detections(msgspec.convert(data, _Detections), size)
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise _damaged(_field(error)) from error


def _reading(saved: _Reading | None) -> Reading | None:
    return Reading(saved.order, saved.frame, saved.origin) if saved is not None else None


def _mask(saved: _Mask | None, size: tuple[int, int], at: int) -> RunLengths | None:
    """Check a mask; it stays run lengths until it is read."""
    if saved is None:
        return None
    place = f"detections.items[{at}].mask"
    if saved.size != size[::-1]:
        raise _damaged(
            f"{place}.size: {list(saved.size)} is not height and width of the picture, {list(size[::-1])}"
        )
    try:
        return read_rle({"size": saved.size, "counts": saved.counts})
    except ValueError as error:
        raise _damaged(f"{place}.counts: {str(error).rstrip('.')}") from error


def to_json(result: ResultData, *, indent: int | None = None) -> str:
    """Write a result as JSON; see `Result.to_json`."""
    data = to_dict(result)
    text = json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # A lone surrogate, which broken text can hold, has no UTF-8 form; its escape has.
        return json.dumps(data, indent=indent, allow_nan=False)
    return text


def from_json(cls: type[R], text: str | bytes, picture: ImageSource | None = None) -> R:
    """Read a result from JSON; see `Result.from_json`."""
    if not isinstance(text, str | bytes | bytearray):
        raise ParameterError(f"The text of a result must be text, got {type(text).__name__}.", hint=_HINT)
    try:
        # Some editors put a byte order mark before a text; json reads it in bytes only.
        data = json.loads(text.removeprefix("\ufeff") if isinstance(text, str) else text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ParameterError(f"The text is not JSON: {visible(reason)}.", hint=_HINT) from error
    return from_dict(cls, data, picture)


def _picture(saved: _Picture, source: ImageSource | None) -> Picture:
    if source is None:
        return Picture.reference(saved.sha256, saved.mime, saved.width, saved.height, saved.name)
    given = Picture.load(source)
    if given.sha256 != saved.sha256:
        raise ImageError(
            f"The picture {given.name or 'given'!r} is not the picture of this result: its SHA-256 differs.",
            hint=f"Load the picture {saved.name!r} of {saved.width}×{saved.height} pixels instead.",
        )
    if (given.width, given.height) != (saved.width, saved.height):
        sizes = f"{saved.width}×{saved.height} is not the size of the picture, {given.width}×{given.height}"
        raise _damaged(f"picture.width: {sizes}")
    return given


def _fields(value: Any, names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names.split()}
