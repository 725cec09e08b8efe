"""The building blocks of the panel; each works in a notebook on its own."""

from __future__ import annotations

from nbvlm.widgets._base import OfferingWidget, PageState, guard, one_layout, refuse_keywords
from nbvlm.widgets._fields import column
from nbvlm.widgets._life import LocalLife, close_all, weakly
from nbvlm.widgets._values import Typed
from nbvlm.widgets.answer import Answer
from nbvlm.widgets.comparison import Comparison
from nbvlm.widgets.connect import Connection, connect
from nbvlm.widgets.controls import RunButtons
from nbvlm.widgets.detection_list import DetectionList, reading_of
from nbvlm.widgets.dialogs import KeyField
from nbvlm.widgets.export_menu import ExportMenu
from nbvlm.widgets.failure import ErrorCard
from nbvlm.widgets.history import History
from nbvlm.widgets.messages import Ignored as Ignored
from nbvlm.widgets.model_choice import ModelChoice
from nbvlm.widgets.model_connection import TYPED, ModelConnection
from nbvlm.widgets.offers import Allow, Offer, is_address
from nbvlm.widgets.parameters import Parameters
from nbvlm.widgets.picker import Upload
from nbvlm.widgets.picture_choice import Picker
from nbvlm.widgets.picture_source import Series
from nbvlm.widgets.playground import Playground
from nbvlm.widgets.prompt_bar import TaskBar
from nbvlm.widgets.recorded_questions import RecordedQuestions
from nbvlm.widgets.review import Review
from nbvlm.widgets.status_text import (
    failure_sentences,
    failure_text,
    is_route_known,
    progress_text,
    route_text,
)
from nbvlm.widgets.stream_throttle import StreamThrottle
from nbvlm.widgets.sweep_grid import SweepGrid
from nbvlm.widgets.thumbnails import (
    base_thumbnail,
    label_colors,
    preview,
    sample_number,
    sample_picture,
    scenes,
    thumbnail,
)
from nbvlm.widgets.toolbar import Toolbar
from nbvlm.widgets.viewer import Viewer

__all__ = [
    "TYPED",
    "Allow",
    "Answer",
    "Comparison",
    "Connection",
    "DetectionList",
    "ErrorCard",
    "ExportMenu",
    "History",
    "KeyField",
    "LocalLife",
    "ModelChoice",
    "ModelConnection",
    "Offer",
    "OfferingWidget",
    "PageState",
    "Parameters",
    "Picker",
    "Playground",
    "RecordedQuestions",
    "Review",
    "RunButtons",
    "Series",
    "StreamThrottle",
    "SweepGrid",
    "TaskBar",
    "Toolbar",
    "Typed",
    "Upload",
    "Viewer",
    "base_thumbnail",
    "close_all",
    "column",
    "connect",
    "failure_sentences",
    "failure_text",
    "guard",
    "is_address",
    "is_route_known",
    "label_colors",
    "one_layout",
    "preview",
    "progress_text",
    "reading_of",
    "refuse_keywords",
    "route_text",
    "sample_number",
    "sample_picture",
    "scenes",
    "thumbnail",
    "weakly",
]
