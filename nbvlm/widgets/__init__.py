"""The building blocks of the panel; each works in a notebook on its own."""

from __future__ import annotations

from nbvlm.widgets.comparison import Sides
from nbvlm.widgets.controls import Controls
from nbvlm.widgets.dialogs import KeyField, Server
from nbvlm.widgets.error_card import Alert
from nbvlm.widgets.error_card import card as error_text
from nbvlm.widgets.export_menu import Exports
from nbvlm.widgets.history_strip import Strip
from nbvlm.widgets.picker import Picker, Upload
from nbvlm.widgets.status_text import failure as failure_text
from nbvlm.widgets.status_text import finished as finished_text
from nbvlm.widgets.status_text import line as status_line
from nbvlm.widgets.status_text import offered as offered_text
from nbvlm.widgets.status_text import pause as pause_text
from nbvlm.widgets.status_text import progress as progress_text
from nbvlm.widgets.status_text import quick as quick_text
from nbvlm.widgets.status_text import stopped as stopped_text
from nbvlm.widgets.status_text import way as route_text
from nbvlm.widgets.sweep_grid import Grid, thumbnail_of
from nbvlm.widgets.thumbnails import base as base_thumbnail
from nbvlm.widgets.thumbnails import picture_of, preview, scenes, things_of, thumbnail
from nbvlm.widgets.thumbnails import small as small_picture
from nbvlm.widgets.thumbnails import thumbnails as sample_thumbnails
from nbvlm.widgets.toolbar import Header
from nbvlm.widgets.viewer import Region, Stage

__all__ = [
    "Alert",
    "Controls",
    "Exports",
    "Grid",
    "Header",
    "KeyField",
    "Picker",
    "Region",
    "Server",
    "Sides",
    "Stage",
    "Strip",
    "Upload",
    "base_thumbnail",
    "error_text",
    "failure_text",
    "finished_text",
    "offered_text",
    "pause_text",
    "picture_of",
    "preview",
    "progress_text",
    "quick_text",
    "route_text",
    "sample_thumbnails",
    "scenes",
    "small_picture",
    "status_line",
    "stopped_text",
    "things_of",
    "thumbnail",
    "thumbnail_of",
]
