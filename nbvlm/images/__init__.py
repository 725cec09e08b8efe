"""Pictures in: paths, addresses, bytes, arrays and PIL images become a `Picture` that can be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.images.codec import encode_within, encoded, plain
from nbvlm.images.guard import decoding
from nbvlm.images.headers import Header
from nbvlm.images.headers import header as read_header
from nbvlm.images.opening import opened as open_encoded
from nbvlm.images.paths import SUFFIXES, folder_at
from nbvlm.images.paths import completions as path_completions
from nbvlm.images.paths import in_folder as pictures_in
from nbvlm.images.paths import inside as path_inside
from nbvlm.images.paths import resolved as resolved_path
from nbvlm.images.paths import shown as shown_path
from nbvlm.images.picture import Picture, adapt, fit, load_lazily, unchanged
from nbvlm.images.remote import stream
from nbvlm.images.sources import MAX_BYTES, is_array
from nbvlm.images.sources import read as read_source

if TYPE_CHECKING:
    from nbvlm.images.picture import ImageSource as ImageSource

__all__ = [
    "MAX_BYTES",
    "SUFFIXES",
    "Header",
    "Picture",
    "adapt",
    "decoding",
    "encode_within",
    "encoded",
    "fit",
    "folder_at",
    "is_array",
    "load_lazily",
    "open_encoded",
    "path_completions",
    "path_inside",
    "pictures_in",
    "plain",
    "read_header",
    "read_source",
    "resolved_path",
    "shown_path",
    "stream",
    "unchanged",
]
