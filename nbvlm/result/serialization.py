"""Turn results into plain data and back, exactly.

A mask is kept as COCO run lengths, the picture by its hash. Labels in any script stay readable in the JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from nbvlm.errors import ImageError
from nbvlm.grounding import Detections, Problem, decode_rle, decoded, encode_rle
from nbvlm.images import Picture
from nbvlm.result.values import ResultData, Sent, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FORMAT", "from_dict", "from_json", "to_dict", "to_json"]

FORMAT = "nbvlm-result/1"

R = TypeVar("R", bound=ResultData)

_PLAIN = (
    "text", "finish_reason", "request_id", "model", "prompt", "route", "has_locations", "endpoint", "created",
    "base_url", "assets_url",
)  # fmt: skip


def to_dict(result: ResultData, *, masks: bool = True) -> dict[str, Any]:
    """Turn a result into plain data; see `Result.to_dict`. Without `masks` they stay codes."""
    usage, sent, timing, picture = result.usage, result.sent, result.timing, result.picture
    return {
        "format": FORMAT,
        **{name: getattr(result, name) for name in _PLAIN},
        "parameters": dict(result.parameters),
        "usage": usage and _fields(usage, "prompt_tokens completion_tokens total_tokens"),
        "sent": _fields(sent, "mime width height bytes"),
        "timing": _fields(timing, "upload_s first_token_s total_s bytes_sent"),
        "picture": _fields(picture, "name mime width height sha256"),
        "problems": [_fields(problem, "kind position text") for problem in result.problems],
        "notices": list(result.notices),
        "detections": detections_to_dict(result.detections, masks=masks),
    }


def detections_to_dict(detections: Detections, *, masks: bool = True) -> dict[str, Any]:
    """Turn detections into plain data; masks that cannot be decoded here stay codes with their codebook."""
    size = detections.size
    crops = decoded(detections).mask_crops if masks else (None,) * len(detections)
    shapes = [crop and encode_rle(crop, size) for crop in crops]
    book = detections.codebook
    return {
        "size": list(size),
        "codebook": book if isinstance(book, str) else getattr(book, "name", None),
        "items": [
            {"label": label, "box": box, "codes": codes and list(codes), "mask": shape}
            for label, box, codes, shape in zip(
                detections.labels, detections.xyxy.tolist(), detections.codes, shapes, strict=True
            )
        ],
    }


def from_dict(cls: type[R], data: Mapping[str, Any], picture: Picture | None = None) -> R:
    """Turn plain data back into a result; see `Result.from_json`."""
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        raise ValueError(f"A saved result must have the format {FORMAT!r}, got {found!r}.")
    try:
        return cls(
            **{name: data[name] for name in _PLAIN},
            parameters=data["parameters"],
            usage=Usage(**data["usage"]) if data["usage"] is not None else None,
            sent=Sent(**data["sent"]),
            timing=Timing(**data["timing"]),
            picture=_picture(data["picture"], picture),
            problems=tuple(Problem(**problem) for problem in data["problems"]),
            notices=tuple(data["notices"]),
            detections=detections_from_dict(data["detections"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"The saved result is damaged: {error}.") from error


def detections_from_dict(data: Mapping[str, Any]) -> Detections:
    """Turn plain data back into detections."""
    items = data["items"]
    width, height = data["size"]
    masks = [decode_rle(item["mask"]) if item["mask"] is not None else None for item in items]
    return Detections(
        [item["box"] for item in items],  # type: ignore[arg-type]  # lists become an array there
        tuple(item["label"] for item in items),
        (width, height),
        masks,
        codes=tuple(tuple(item["codes"]) if item["codes"] is not None else None for item in items),
        codebook=data["codebook"],
    )


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


def from_json(cls: type[R], text: str | bytes, picture: Picture | None = None) -> R:
    """Read a result from JSON; see `Result.from_json`."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"The text is not JSON: {error}.") from error
    return from_dict(cls, data, picture)


def _picture(data: Mapping[str, Any], given: Picture | None) -> Picture:
    if given is None:
        return Picture.reference(data["sha256"], data["mime"], data["width"], data["height"], data["name"])
    if given.sha256 != data["sha256"]:
        raise ImageError(
            f"The picture {given.name or 'given'!r} is not the picture of this result: its SHA-256 differs.",
            hint=f"Load the picture {data['name']!r} of {data['width']}×{data['height']} pixels instead.",
        )
    return given


def _fields(value: Any, names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names.split()}
