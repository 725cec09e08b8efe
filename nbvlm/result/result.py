"""One answer and everything known about it: drawn, shown, and turned into tables, datasets and code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nbvlm.result import code, datasets, description, files, html, notebook, serialization, svg
from nbvlm.result.values import ResultData

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from PIL import Image

    from nbvlm.draw import Style
    from nbvlm.images import ImageSource

__all__ = ["Result"]


class Result(ResultData):
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
        The model, prompt and parameters of the request; `parameters` is read-only.
    asked
        The prompt as it was sent: in the words of the model's family, where `prompt` is a task.
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
        Sentences about steps on the way (conversion, shrinking, a retry).
    has_locations
        False if the answer holds no location token at all, which is not the same as "no objects".
    endpoint
        Name of the endpoint that answered ("nvidia", "demo", …) or its URL.
    base_url, assets_url
        Origins that were used in place of the endpoint's own, else None.
    created
        ISO 8601, UTC.
    reasoning
        The model's thinking before the answer, "" for none; no box is read from it.
    """

    def annotate(self, style: Style | None = None, **options: Any) -> Image.Image:
        """Draw boxes, masks and labels on the picture.

        Parameters
        ----------
        style
            The look; see `nbvlm.draw.Style`.
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
            The result holds no bytes of its picture (it was read from JSON without the picture).

        Examples
        --------
        >>> result.annotate(opacity=0.6, colors={"cat": "teal"})  # doctest: +SKIP
        """
        return files.annotated(self, style, **options)

    def crops(self, *, margin: float = 0) -> list[Image.Image]:
        """Cut each thing that was found out of the picture.

        Parameters
        ----------
        margin
            Pixels around each box, from 0 on.

        Returns
        -------
        list of PIL.Image.Image
            In the order of `detections`: whole pixels within the picture, at least one each way.

        Raises
        ------
        ImageError
            The result holds no bytes of its picture.

        Examples
        --------
        >>> for crop in result.crops(margin=10):  # doctest: +SKIP
        ...     display(crop)
        """
        return files.crops(self, margin)

    def to_dict(self, *, masks: bool = True) -> dict[str, Any]:
        """Turn the result into plain data: masks as COCO run lengths, the picture by its hash.

        Without `masks` they stay codes, which are decoded when they are asked for after reading.
        """
        return serialization.to_dict(self, masks=masks)

    def to_json(self, *, indent: int | None = None) -> str:
        """Write the result as JSON; `from_json` reads it back exactly.

        Parameters
        ----------
        indent
            Spaces per level, or None for one line.
        """
        return serialization.to_json(self, indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes, picture: ImageSource | None = None) -> Result:
        """Read a result from JSON.

        Parameters
        ----------
        text
            JSON as `to_json` writes it.
        picture
            The picture it refers to, as `Picture.load` takes it. Without it the result knows its picture by
            hash, and cannot be drawn.

        Raises
        ------
        ParameterError
            The text is not a saved result; the message names the field that is wrong.
        ImageError
            `picture` is another picture.

        Examples
        --------
        >>> Result.from_json(path.read_text(), picture=Picture.load("cat.jpg"))  # doctest: +SKIP
        """
        return serialization.from_json(cls, text, picture)

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
        return self.detections.to_dataframe()

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
        return datasets.to_yolo(self, categories=categories, segments=segments)

    def to_supervision(self) -> Any:
        """Make a `supervision.Detections`, masks included, that its annotators draw.

        Raises
        ------
        Error
            supervision is not installed; the message has the line that installs it.
        """
        return datasets.to_supervision(self)

    def to_html(self) -> str:
        """Write one self-contained page: picture, table, answer, request and code, without scripts."""
        return html.to_html(self)

    def to_svg(self) -> str:
        """Write the annotated picture as one SVG file: boxes, masks and labels are shapes that stay sharp.

        The picture inside is a copy of at most 1600 pixels a side; coordinates are those of the original.
        """
        return svg.to_svg(self)

    def to_python(self, *, image: str | None = None) -> str:
        """Write Python code that asks the same again, with the key read from the environment.

        Parameters
        ----------
        image
            Path or URL to read the picture from. By default the file of the picture's name in the working
            directory, if it is the same; else the code embeds the picture.
        """
        return code.to_python(self, image=image)

    def to_curl(self, *, image: str | None = None) -> str:
        """Write a shell script with curl that asks the same again, with the key read from the environment.

        Parameters
        ----------
        image
            File to read the picture from; by default as for `to_python`.
        """
        return code.to_curl(self, image=image)

    def save(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Save in the format of the ending; the file is whole or absent.

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
        Error
            The file cannot be written; the message names its path.
        """
        return files.save(self, path, **options)

    def __repr__(self) -> str:
        said = f"{description.summary(self)!r} by {self.model} in {self.timing.total_s:.2f} s"
        if self.notices:
            said += f"; {description.shorten(' '.join(self.notices), 120)}"
        return f"<Result {description.visible(said)}>"

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        del include, exclude  # IPython picks from the bundle itself
        return notebook.bundle(self)
