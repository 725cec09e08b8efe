"""Decode sixteen codes to a 64×64 raster, and paste the raster into the picture as a mask.

The codes name vectors of a codebook; the decoder of the VQ-VAE that PaliGemma was trained with turns 4×4
of them into a raster of about −1 (outside) to 1 (inside)::

    vectors → Conv 1×1, ReLU → 2 residual blocks → 4 × (ConvTranspose 4×4 stride 2, ReLU) → Conv 1×1

as in big_vision's ``evaluators/proj/paligemma/transfers/segmentation.py`` and, before it, in AiT. All
sizes are read from the weights. They are not in the package: `codebook` finds them or downloads them.
"""

from __future__ import annotations

import math
import os
import threading
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from nbvlm._text import reason
from nbvlm.errors import Error, ParameterError, ServerError, TransportError
from nbvlm.grounding.masks.types import CODES, MaskCrop, size_of
from nbvlm.grounding.masks.vqvae import Decoder

if TYPE_CHECKING:
    from nbvlm._files import Progress
    from nbvlm.grounding.masks.types import Box, Mask, Size

__all__ = ["Codebook", "codebook", "found", "paste", "paste_crop"]

Raster = npt.NDArray[np.float32]

_TOGETHER = 16  # masks decoded at once: more gain no time and take 2 MB each
_EMBEDDING = "_vq_vae._embedding"
_loaded: dict[str, Codebook] = {}
_loading = threading.Lock()
_failures: dict[tuple[str | None, ...], tuple[float, Error]] = {}


class Codebook:
    """Turns codes into rasters.

    Parameters
    ----------
    weights
        Arrays by name; see `nbvlm.grounding.masks.vqvae.Decoder`.
    name
        The name under which `codebook` finds it, if any: pickled detections then carry the name only.

    Attributes
    ----------
    values : int
        How many codes there are: 128 for PaliGemma.
    side : int
        Rows and columns of a raster: 64 for PaliGemma.

    Raises
    ------
    ValueError
        Where the arrays are not a mask decoder.
    """

    def __init__(self, weights: dict[str, npt.NDArray[np.floating]], name: str | None = None) -> None:
        self._decoder, self.name = Decoder(weights), name
        self.values, self.side = self._decoder.values, self._decoder.side

    @classmethod
    def load(cls, path: str | os.PathLike[str], name: str | None = None) -> Codebook:
        """Read a codebook from an ``.npz`` file.

        Raises
        ------
        Error
            Where the file cannot be read or holds something else.
        """
        try:
            return cls(_arrays(path), name)
        except Exception as error:  # a damaged archive raises nearly anything
            raise Error(f"{path} cannot be used as a codebook: {reason(error)}.") from error

    def decode(self, codes: npt.ArrayLike) -> Raster:
        """Decode codes to rasters.

        Parameters
        ----------
        codes
            n×16 numbers from 0 to `values` − 1.

        Returns
        -------
        ndarray
            n×side×side float32, above 0 inside the thing, about −1 to 1.

        Raises
        ------
        ValueError
            For another shape, or a code outside the codebook.
        """
        rows = np.asarray(codes)
        if rows.size == 0:
            return np.empty((0, self.side, self.side), np.float32)
        if rows.ndim != 2 or rows.shape[1] != CODES or rows.dtype.kind not in "iu":
            given = f"an array of shape {rows.shape}"
            raise ValueError(f"codes must be integers in n rows of {CODES}, got {given}.")
        if rows.min() < 0 or rows.max() >= self.values:
            raise ValueError(f"A code must be from 0 to {self.values - 1}, got {rows.min()} to {rows.max()}.")
        parts = [self._decoder(rows[at : at + _TOGETHER]) for at in range(0, len(rows), _TOGETHER)]
        return np.concatenate(parts)

    def __repr__(self) -> str:
        name = f"{self.name}: " if self.name else ""
        return f"<Codebook {name}{self.values} codes, rasters of {self.side}×{self.side}>"


def _arrays(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.floating]]:
    if not Path(path).is_file():
        raise ValueError("the file does not exist")
    if not zipfile.is_zipfile(path):  # numpy's message suggests to load it unsafely
        raise ValueError("the file is not an .npz archive")
    with np.load(path, allow_pickle=False) as file:
        wanted = [key for key in file.files if key.startswith("decoder.") or key == _EMBEDDING]
        return {key: file[key] for key in wanted}


def codebook(name: str = "vae-oid", *, progress: Progress | None = None) -> Codebook:
    """Return a codebook by its name, loaded once.

    ``"vae-oid"`` is PaliGemma's. Its file of 8.5 MB is the one that NBVLM_VAE_WEIGHTS names, else the one
    in the cache (NBVLM_CACHE, or the platform's), else it is downloaded from its official place and kept
    there.

    Parameters
    ----------
    name
        ``"vae-oid"``, or ``"demo"``: the embedded model's own small one, which is part of the package.
    progress
        Called with the bytes done and the bytes in all while downloading.

    Raises
    ------
    ParameterError
        For a name that is not known.
    Error
        Where the file cannot be found or downloaded: see `nbvlm._files.fetch`.
    """
    if name not in ("vae-oid", "demo"):
        raise ParameterError(f"name must be one of 'vae-oid', 'demo', got {name!r}.")
    with _loading:
        if name not in _loaded:
            path = Path(__file__).with_name("codebook.npz") if name == "demo" else _vae_oid(progress)
            _loaded[name] = Codebook.load(path, name)
        return _loaded[name]


REST_S = 60.0
"""Seconds after a failed download before a mask tries it again: each try may take as long as a connection."""


def found(name: str) -> Codebook:
    """Return a codebook as `codebook` does, for masks to be shown; a failed download is remembered a while.

    Raises
    ------
    Error
        As `codebook`; at once where the same search failed less than `REST_S` seconds ago.
    """
    search = (name, os.environ.get("NBVLM_VAE_WEIGHTS"), os.environ.get("NBVLM_CACHE"))
    failed, error = _failures.get(search, (-math.inf, None))
    if error is not None and name not in _loaded and time.monotonic() - failed < REST_S:
        raise error.with_traceback(None)
    try:
        return codebook(name)
    except (ServerError, TransportError) as new:
        _failures[search] = time.monotonic(), new
        raise


def _vae_oid(progress: Progress | None) -> Path:
    from nbvlm import _files
    from nbvlm.images import stream

    if given := os.environ.get("NBVLM_VAE_WEIGHTS"):
        path = _files.expanded(given)
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file() raises where a folder may not be read
            hint = "Set it to a copy of vae-oid.npz, or unset it to download the file."
            raise Error(f"NBVLM_VAE_WEIGHTS names {path}, which is not a file.", hint=hint)
        return path
    return _files.fetch(_files.VAE_OID, _files.directory(), stream, progress)


def paste(raster: Raster, box: Box, size: Size, soft: bool = False) -> npt.NDArray[np.bool_] | Raster:
    """Place a raster in its box in the picture.

    Parameters
    ----------
    raster
        Rows × columns float32, as from `Codebook.decode`.
    box
        Corners x0, y0, x1, y1 in pixels. What lies outside the picture is cut off; a box that covers no
        whole pixel gives an empty mask.
    size
        Width and height of the picture in pixels.
    soft
        False: as big_vision evaluates. Corners are truncated to whole pixels, the raster is resized as
        floats, bilinearly, and a pixel belongs to the thing where the result is above 0. True: as the
        demonstration by the same authors shows it. Corners are rounded, the raster is mapped to 0 … 1 in
        256 steps and resized bicubically, without a threshold.

    Returns
    -------
    ndarray
        Height×width: bool, or float32 from 0 to 1 where soft.

    Examples
    --------
    >>> paste(np.ones((64, 64), np.float32), (1.0, 1.0, 3.0, 2.0), (4, 3)).astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    width, height = size = size_of(size)
    if not soft:
        return paste_crop(raster, box, size).spread(size)
    values = np.zeros((height, width), np.float32)
    steps = (np.clip(raster * 0.5 + 0.5, 0.0, 1.0) * 255).astype(np.uint8)
    x, y, pixels = _place(steps, tuple(map(round, box)), size, "BICUBIC")
    values[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels / np.float32(255)
    return values


def paste_crop(raster: Raster, box: Box, size: Size) -> MaskCrop:
    """Return the part of the mask that `paste` makes, where it can be true."""
    x, y, pixels = _place(raster, tuple(map(int, box)), size, "BILINEAR")
    mask: Mask = pixels > 0.0
    mask.flags.writeable = False
    return MaskCrop(x, y, mask)


def _place(
    raster: npt.NDArray[np.float32 | np.uint8],
    box: tuple[int, ...],
    size: Size,
    filter_: Literal["BILINEAR", "BICUBIC"],
) -> tuple[int, int, npt.NDArray[np.float32 | np.uint8]]:
    """Resize to the box, computing only what lies in the picture: its column and row, and the values."""
    from PIL import Image

    left, top, right, bottom = box
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if x0 >= x1 or y0 >= y1:
        return 0, 0, np.zeros((0, 0), raster.dtype)
    rows, columns = raster.shape
    across, down = columns / (right - left), rows / (bottom - top)
    part = ((x0 - left) * across, (y0 - top) * down, (x1 - left) * across, (y1 - top) * down)
    image = Image.fromarray(np.ascontiguousarray(raster))
    return x0, y0, np.asarray(image.resize((x1 - x0, y1 - y0), Image.Resampling[filter_], box=part))
