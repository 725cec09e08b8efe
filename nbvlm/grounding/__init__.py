"""Text to boxes, points and masks: dialects, the parser, detections, comparison and evaluation."""

from __future__ import annotations

from nbvlm.grounding.checks import overlaps
from nbvlm.grounding.comparison import Comparison, Pair, compare
from nbvlm.grounding.detections import Detection, Detections
from nbvlm.grounding.dialects.deciding import asked_order, asked_scale
from nbvlm.grounding.dialects.kosmos2 import read as read_kosmos2
from nbvlm.grounding.dialects.reasoning import Part as ReasoningPart
from nbvlm.grounding.dialects.reasoning import Reasoning
from nbvlm.grounding.editing import with_box, with_label
from nbvlm.grounding.evaluation import Evaluation, evaluate
from nbvlm.grounding.masks.codebooks import Codebook, codebook, paste
from nbvlm.grounding.masks.lazy import LazyMask, decode_masks, decoded
from nbvlm.grounding.masks.polygons import area as polygon_area
from nbvlm.grounding.masks.polygons import outlines as mask_outlines
from nbvlm.grounding.masks.polygons import svg_path as mask_svg_path
from nbvlm.grounding.masks.rle import RunLengths
from nbvlm.grounding.masks.rle import encode as encode_rle
from nbvlm.grounding.masks.rle import read as read_rle
from nbvlm.grounding.masks.types import MaskCrop
from nbvlm.grounding.origin import Origin
from nbvlm.grounding.parser import Parser, parse
from nbvlm.grounding.problems import KINDS, Problem
from nbvlm.grounding.readings import Reading
from nbvlm.grounding.tables import PLACES, SOURCES
from nbvlm.grounding.tables import rows as table_rows

__all__ = [
    "KINDS",
    "PLACES",
    "SOURCES",
    "Codebook",
    "Comparison",
    "Detection",
    "Detections",
    "Evaluation",
    "LazyMask",
    "MaskCrop",
    "Origin",
    "Pair",
    "Parser",
    "Problem",
    "Reading",
    "Reasoning",
    "ReasoningPart",
    "RunLengths",
    "asked_order",
    "asked_scale",
    "codebook",
    "compare",
    "decode_masks",
    "decoded",
    "encode_rle",
    "evaluate",
    "mask_outlines",
    "mask_svg_path",
    "overlaps",
    "parse",
    "paste",
    "polygon_area",
    "read_kosmos2",
    "read_rle",
    "table_rows",
    "with_box",
    "with_label",
]
