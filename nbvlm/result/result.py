"""One answer and everything known about it, as a frozen value.

A `Result` knows what was asked, what came back, what it means (`detections`), what travelled and how long
it took. It shows itself in a notebook, draws itself, and turns into tables, datasets, pages and code.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from nbvlm.grounding import Detection, Detections, Problem
from nbvlm.result.values import Sent, Timing, Usage

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from PIL import Image

    from nbvlm.draw import Style
    from nbvlm.images import Picture

__all__ = ["Detection", "Detections", "Problem", "Result", "Sent", "Timing", "Usage"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """An answer of a vision-language model to a prompt about a picture.

    Attributes
    ----------
    text
        The answer as it came, tokens included, unstripped.
    detections
        Its boxes and masks, in pixels of `picture`.
    usage, finish_reason, request_id
        As the service reported them, else None.
    model, prompt, parameters
        What was asked for; `parameters` is read-only.
    picture
        The original picture, upright.
    route
        "inline" (inside the request) or "asset" (uploaded before).
    sent
        The picture as it travelled.
    timing
        Seconds and bytes.
    problems
        Irregularities that the parser met.
    notices
        Sentences about what was done on the way (conversion, shrinking, a retry).
    has_locations
        False if the answer holds no location token at all, which is not the same as "no objects".
    endpoint
        Name of the endpoint that answered ("nvidia", "demo", …) or its URL.
    base_url, assets_url
        Origins that were used in place of the endpoint's own, else None.
    created
        ISO 8601, UTC.
    """

    text: str
    detections: Detections
    usage: Usage | None
    finish_reason: str | None
    request_id: str | None
    model: str
    prompt: str
    parameters: Mapping[str, float | int]
    picture: Picture
    route: Literal["inline", "asset"]
    sent: Sent
    timing: Timing
    has_locations: bool
    endpoint: str
    created: str
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
    base_url: str | None = None
    assets_url: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def annotate(self, style: Style | None = None, **options: Any) -> Image.Image:
        """Draw boxes, masks and labels on the picture.

        Parameters
        ----------
        style
            How; see `nbvlm.draw.Style`.
        **options
            Single attributes of the style: `boxes`, `masks`, `labels`, `colors`, `by`, `numbers`, `opacity`,
            `line_width`, `font_size`, `font`, `scale`.

        Returns
        -------
        PIL.Image.Image
            A new RGB picture, as large as the original times `scale`.

        Raises
        ------
        ImageError
            The picture's bytes are not here (a result read from JSON without its picture).

        Examples
        --------
        >>> result.annotate(opacity=0.6, colors={"cat": "teal"})  # doctest: +SKIP
        """
        from nbvlm.draw import annotate as _annotate
        from nbvlm.draw import prompt_things

        things = prompt_things(self.prompt)
        image = self.picture.image()
        return _annotate(image, self.detections, style, things=things, keep=False, **options)

    def to_dict(self, *, masks: bool = True) -> dict[str, Any]:
        """Turn the result into plain data: masks as COCO run lengths, the picture by its hash.

        Without `masks` they stay codes, which are decoded when they are asked for after reading.
        """
        from nbvlm.result import serialization

        return serialization.to_dict(self, masks=masks)

    def to_json(self, *, indent: int | None = None) -> str:
        """Write the result as JSON; `from_json` reads it back exactly.

        Parameters
        ----------
        indent
            Spaces per level, or None for one line.
        """
        from nbvlm.result import serialization

        return serialization.to_json(self, indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes, picture: Picture | None = None) -> Result:
        """Read a result from JSON.

        Parameters
        ----------
        text
            What `to_json` wrote.
        picture
            The picture it refers to. Without it the result knows its picture by hash, and cannot be drawn.

        Raises
        ------
        ValueError
            The text is no saved result.
        ImageError
            `picture` is another one.

        Examples
        --------
        >>> Result.from_json(path.read_text(), picture=Picture.load("cat.jpg"))  # doctest: +SKIP
        """
        from nbvlm.result import serialization

        return serialization.from_json(text, picture)

    def to_dataframe(self) -> pd.DataFrame:
        """Make a pandas table, one row a detection.

        Returns
        -------
        pandas.DataFrame
            `label`; `x0, y0, x1, y1, width, height, area` in pixels as floats; `mask_area` in pixels, missing
            without a mask; `x0_norm … y1_norm` as shares of the picture.

        Raises
        ------
        Error
            pandas is not installed; the message has the line that installs it.
        """
        from nbvlm.result import datasets

        return datasets.to_dataframe(self)

    def to_coco(
        self,
        *,
        segmentation: Literal["rle", "polygon"] = "rle",
        image_id: int = 1,
        categories: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Make a COCO data set of this picture, as pycocotools reads it.

        Parameters
        ----------
        segmentation
            Masks as run lengths, exact, or as outlines, which have no holes.
        image_id
            Number of the picture.
        categories
            Names in the order of their numbers, from 1 on; by default those found, as they come.

        Raises
        ------
        ValueError
            `categories` lacks a label.
        """
        from nbvlm.result import datasets

        return datasets.to_coco(self, segmentation=segmentation, image_id=image_id, categories=categories)

    def to_yolo(self, *, categories: Sequence[str] | None = None, segments: bool = False) -> str:
        """Write YOLO lines: number of the category, then shares of the picture from 0 to 1.

        Parameters
        ----------
        categories
            Names in the order of their numbers, from 0 on; by default those found, as they come.
        segments
            Outlines instead of boxes (middle x, middle y, width, height).
        """
        from nbvlm.result import datasets

        return datasets.to_yolo(self, categories=categories, segments=segments)

    def to_supervision(self) -> Any:
        """Make a `supervision.Detections`, masks included, that its annotators draw.

        Raises
        ------
        Error
            supervision is not installed; the message has the line that installs it.
        """
        from nbvlm.result import datasets

        return datasets.to_supervision(self)

    def to_html(self) -> str:
        """Write one self-contained page: picture, table, answer, request and code, without scripts."""
        from nbvlm.result import html

        return html.to_html(self)

    def to_svg(self) -> str:
        """Write the annotated picture as one SVG file: boxes, masks and labels are shapes that stay sharp.

        The picture inside is a copy of at most 1600 pixels a side; coordinates are those of the original.
        """
        from nbvlm.result import svg

        return svg.to_svg(self)

    def to_python(self, *, image: str | None = None) -> str:
        """Write Python code that asks the same again, with the key read from the environment.

        Parameters
        ----------
        image
            Path or URL to read the picture from. By default the file of the picture's name in the working
            directory, if it is the same; else the code brings the picture along.
        """
        from nbvlm.result import code

        return code.to_python(self, image=image)

    def to_curl(self, *, image: str | None = None) -> str:
        """Write a shell script with curl that asks the same again, with the key read from the environment.

        Parameters
        ----------
        image
            File to read the picture from; by default as for `to_python`.
        """
        from nbvlm.result import code

        return code.to_curl(self, image=image)

    def save(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Save in the format of the ending; the file is whole or not there.

        Parameters
        ----------
        path
            Ends in .png, .jpg, .jpeg or .webp (the annotated picture), .svg, .json, .html or .csv.
        **options
            For pictures, as for `annotate`.

        Returns
        -------
        pathlib.Path
            Where it was saved.

        Raises
        ------
        ValueError
            Another ending; the message lists those that exist.
        """
        from nbvlm.result import files

        return files.save(self, path, **options)

    def __repr__(self) -> str:
        from nbvlm.result import description

        said = f"{description.summary(self)!r} by {self.model} in {self.timing.total_s:.2f} s"
        return f"<Result {description.visible(said)}>"

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        from nbvlm.result import notebook

        del include, exclude  # IPython picks from the bundle itself
        return notebook.bundle(self)

    def __hash__(self) -> int:
        return hash((self.text, self.prompt, self.model, self.request_id, self.created, self.picture.sha256))

    def __reduce__(self) -> tuple[Any, ...]:
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        return _rebuild, (type(self), state | {"parameters": dict(self.parameters)})


def _rebuild(kind: type[Result], state: dict[str, Any]) -> Result:
    return kind(**state)
