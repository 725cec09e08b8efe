"""One answer as a value, and its exports."""

from __future__ import annotations

from nbvlm.result.datasets import UNLABELLED, coco_annotations
from nbvlm.result.description import alt_text, facts, summary, where
from nbvlm.result.description import plain as plain_text
from nbvlm.result.files import ENDINGS
from nbvlm.result.files import contents as export_file
from nbvlm.result.markup import text as html_text
from nbvlm.result.notebook import EncodedPicture
from nbvlm.result.notebook import bundle as mime_bundle
from nbvlm.result.result import Result
from nbvlm.result.serialization import FORMAT, SavedResult, detections_from_dict, detections_to_dict
from nbvlm.result.values import Sent, Timing, Usage

__all__ = [
    "ENDINGS",
    "FORMAT",
    "UNLABELLED",
    "EncodedPicture",
    "Result",
    "SavedResult",
    "Sent",
    "Timing",
    "Usage",
    "alt_text",
    "coco_annotations",
    "detections_from_dict",
    "detections_to_dict",
    "export_file",
    "facts",
    "html_text",
    "mime_bundle",
    "plain_text",
    "summary",
    "where",
]
