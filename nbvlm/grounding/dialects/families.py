"""The families that are known, in the order in which an id is compared with them.

Sources: the authors' model cards, notebooks and code, and recorded answers; where a family has several
habits, the one that measured best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.grounding.dialects.dialect import Dialect
from nbvlm.grounding.dialects.spaces import Canvas, LongEdge, Resize, Square

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAMILIES", "GENERIC"]

GENERIC = Dialect(
    "generic",
    form="named",
    order=None,
    scale=None,
    obeys=True,
    note="For models that are not known: the numbers and the prompt decide.",
)

_QWEN: Mapping[str, str] = {
    "detect": "locate every instance that belongs to the following categories: {quoted}. "
    "Report bbox coordinates in JSON format.",
    "segment": "locate every instance that belongs to the following categories: {quoted}. "
    "Report bbox coordinates in JSON format.",
    "count": "locate every instance that belongs to the following categories: {quoted}. "
    "Report bbox coordinates in JSON format.",
    "point": "locate every instance that belongs to the following categories with points: {quoted}. "
    "Report point coordinates in JSON format.",
}
_GEMINI_BOXES = (
    "Detect the 2d bounding boxes of every {things}. Answer with a JSON list of at most {limit} objects, "
    "each with "
    'the box in the key "box_2d" as [ymin, xmin, ymax, xmax], normalized to 0-1000, and a label in the '
    'key "label". '
    "The labels are: {list}."
).replace("{limit}", "25")
_GEMINI: Mapping[str, str] = {
    "detect": _GEMINI_BOXES,
    "count": _GEMINI_BOXES,
    "segment": "Give the segmentation masks for every {things}. Output a JSON list of segmentation masks "
    "where each "
    'entry contains the 2D bounding box in the key "box_2d", the segmentation mask in key "mask", and '
    "the text "
    'label in the key "label". The labels are: {list}.',
    "point": "Point to every {things}. The answer should follow the JSON format: "
    '[{{"point": [y, x], "label": …}}, …]. The points are in [y, x] format normalized to 0-1000. The '
    "labels are: {list}.",
}


def _array(space: str, key: str = "box_2d", order: str = "[x_min, y_min, x_max, y_max]") -> Mapping[str, str]:
    """Words for models that answer in the JSON form that the prompt shows."""
    boxes = (
        "Detect every {things} in this image. Output a JSON list where each entry contains the 2D "
        "bounding box in "
        f'the key "{key}" and the text label in the key "label". The "{key}" value must be {order}: {space}. '
        "Return only the JSON list, with no extra text. Only use these labels: {list}"
    )
    point = order.replace("_min", "").split(", ")[:2]
    points = (
        "Point to every {things} in this image. Output a JSON list where each entry contains the point "
        "in the key "
        f'"point" as {point[0]}, {point[1]}] and the text label in the key "label". The values must be '
        f"{space}. "
        "Return only the JSON list, with no extra text. Only use these labels: {list}"
    )
    return {"detect": boxes, "segment": boxes, "count": boxes, "point": points}


def _boxes(words: str, point: str | None = None, **others: str) -> Mapping[str, str]:
    """The same words for boxes, masks and counting."""
    return {
        "detect": words,
        "segment": words,
        "count": words,
        **({"point": point} if point else {}),
        **others,
    }


_PIXELS = (
    "the top-left and bottom-right corners in absolute pixel coordinates of the {width}x{height} pixel image"
)
_THOUSAND = "integers between 0 and 1000, normalized to the image width (x) and height (y)"
_GPT = _array(_PIXELS)
_REF = "Please provide the bounding box coordinate of the region this sentence describes: <ref>{list}</ref>"
_FIELDS = (
    'Detect every {things} in this image. Output a JSON list where each entry is {{"label": …, "x_min": '
    '…, "y_min": '
    '…, "x_max": …, "y_max": …}}, with the coordinates as fractions of the image width and height '
    "between 0 and 1. "
    "Return only the JSON list. Only use these labels: {list}"
)
_MUSE = (
    "You are an object grounding expert. Detect all objects in this image matching these labels: {list}. "
    "For each "
    'object, answer in the format {{"label": "<name>", "x_min": <int>, "y_min": <int>, "x_max": <int>, '
    '"y_max": '
    "<int>}}. The coordinates should be in the 0-1000 range. Return a JSON array of results."
)
_QWEN25 = Resize(28, 3136, 12_845_056)

FAMILIES: tuple[Dialect, ...] = (
    Dialect("ui-tars-1.5", ("uitars15",), "box-tokens", scale="pixels", space=Resize(28, 78_400, 12_845_056)),
    Dialect(
        "qwen2.5-vl",
        (
            "qwen25vl",
            "qwen25omni",
            "mimovl",
            "cosmosreason1",
            "guiowl(?!15)",
            "uivenus(?!15)",
            "infigui",
            "holo1",
        ),
        scale="pixels",
        space=_QWEN25,
        fence=True,
        words={
            **_QWEN,
            "ocr": "Spotting all the text in the image with line-level, and output in JSON format.",
        },
        note="Pixels of the resized picture; a server with other bounds needs a custom dialect.",
    ),
    Dialect("qwen2-vl", ("qwen2vl",), "box-tokens", words=_QWEN),
    Dialect("qwen-vl", ("qwenvl",), "ref-box", words=_QWEN),
    Dialect("ernie-vl", ("ernie45",), words=_array(_THOUSAND, "bbox_2d"), fence=True),
    Dialect(
        "cosmos-reason",
        ("cosmosreason", "cosmos3"),
        fence=True,
        words=_boxes(
            "Locate the bounding box of every {things}. Return a json.",
            "Locate every {things} with points. Return a json.",
        ),
    ),
    Dialect(
        "qwen3-vl",
        ("qwen3(?!(?:8b|14b|32b)?embed)", "qvq", "mimo", "guiowl", "uivenus", "holo[23]"),
        fence=True,
        words=_QWEN,
    ),
    Dialect(
        "paligemma",
        ("paligemma", "^demo(scenes|photos)?$"),
        "loc",
        order="yxyx",
        scale=1023.0,
        masks="codes",
        words={
            "detect": "detect {semicolons}",
            "count": "detect {semicolons}",
            "segment": "segment {semicolons}",
            "point": "detect {semicolons}",
            "caption": "caption {code}",
            "cap": "cap {code}",
            "describe": "describe {code}",
            "ocr": "ocr",
            "answer": "answer {code} {question}",
        },
    ),
    Dialect(
        "gemini",
        ("gemini", "roboticser"),
        order="yxyx",
        keys=("box_2d", "point", "label"),
        fence=True,
        masks="png",
        words=_GEMINI,
    ),
    Dialect(
        "medgemma",
        ("medgemma",),
        order="yxyx",
        space=Square(),
        keys=("box_2d", "point", "label"),
        fence=True,
        words=_array("integers between 0 and 1000", order="[y0, x0, y1, x1]"),
        note="The picture is padded to a square.",
    ),
    Dialect(
        "gemma",
        ("diffusiongemma", "gemma(?:4|3n|3)"),
        order="yxyx",
        keys=("box_2d", "point", "label"),
        fence=True,
        note="The order of a list flips with the prompt; named fields are sure.",
    ),
    Dialect("gpt-5", (r"gpt5(?![2-9])",), "named", scale=1.0, obeys=True, words=_boxes(_FIELDS)),
    Dialect(
        "gpt",
        (r"gpt(?:[5-9]|4o|41|4)", "computeruse", "^o[1-9](?:mini|pro|$)", "chatgpt"),
        scale="pixels",
        obeys=True,
        keys=("box_2d", "point", "label"),
        words=_GPT,
    ),
    Dialect(
        "claude-4.6",
        (r"claude(?:instant|v?[23]|[a-z]+3|[a-z]+4[0-6]?(?![0-9]))",),
        scale="pixels",
        space=LongEdge(28, 1568, 1568),
        obeys=True,
        keys=("box_2d", "point", "label"),
        fence=True,
        words=_GPT,
    ),
    Dialect(
        "claude",
        ("claude",),
        scale="pixels",
        space=LongEdge(28, 2576, 4784),
        obeys=True,
        keys=("box_2d", "point", "label"),
        fence=True,
        words=_GPT,
    ),
    Dialect(
        "glm-v",
        ("glm41v", "glm45v", "glm46v", "glm5v", "autoglm", "glm4v"),
        "begin-box",
        obeys=False,
        words=_boxes(
            "Help me to locate every {things} in the image and give me its bounding boxes as JSON with "
            "the keys "
            '"label" and "bbox_2d" ([x1, y1, x2, y2], 0-1000).',
            'Point to every {things} in the image; answer as JSON with the keys "label" and "point_2d" '
            "([x, y], 0-1000).",
        ),
    ),
    Dialect("glm", ("glm",), order=None, scale=None, obeys=True, words=_array(_THOUSAND), fence=True),
    Dialect("kimi", ("kimi",), order=None, scale=None, obeys=True, words=_array(_THOUSAND), fence=True),
    Dialect(
        "deepseek-ocr",
        ("deepseekocr", "unlimitedocr"),
        "ref-det",
        scale=999.0,
        words=_boxes("Locate <|ref|>{list}<|/ref|> in the image.", ocr="<|grounding|>OCR this image."),
    ),
    Dialect("deepseek-vl2", ("deepseekvl",), "ref-det", scale=999.0, words=_boxes("<|ref|>{list}<|/ref|>.")),
    Dialect("deepseek", ("deepseekv", "deepseek"), words=_array(_THOUSAND), fence=True, obeys=True),
    Dialect(
        "mistral",
        ("ministral", "mistral", "pixtral", "magistral"),
        scale=999.0,
        obeys=True,
        keys=("box_2d", "point", "label"),
        fence=True,
        words=_array(
            "the top-left and bottom-right corners as integers between 0 and 999, normalized to the "
            "image width (x) and height (y)"
        ),
    ),
    Dialect(
        "muse",
        ("muse", "spark1", "glimmer"),
        "named",
        words=_boxes(_MUSE),
    ),
    Dialect(
        "grok",
        ("grok",),
        scale=100.0,
        obeys=True,
        keys=("box_2d", "point", "label"),
        words=_array("percentages of image width and height (floats between 0 and 100)"),
    ),
    Dialect("molmo2", ("molmo2",), "tracks", words=_boxes("Point to {list}", "Point to {list}")),
    Dialect(
        "molmo",
        ("molmo",),
        "points",
        scale=100.0,
        words=_boxes("Point to the {list}.", "Point to the {list}."),
    ),
    Dialect(
        "locateanything",
        ("locateanything", r"eagle"),
        "ref-box",
        words={
            "detect": "Locate all the instances that matches the following description: {list}.",
            "segment": "Locate all the instances that matches the following description: {list}.",
            "count": "Locate all the instances that matches the following description: {list}.",
            "point": "Point to: {list}.",
            "ocr": "Detect all the text in box format.",
        },
    ),
    Dialect(
        "nemotron-parse",
        ("nemotron.*parse",),
        "parse",
        scale=1.0,
        space=Canvas(1648, 2048),
        words={"ocr": "</s><s><predict_bbox><predict_classes><output_markdown>"},
        note="Shares of a canvas of 1648×2048 that the page is put in the upper left of.",
    ),
    Dialect("nemotron", ("nemotron", "cosmosnemotron"), words=_array(_THOUSAND, "bbox_2d")),
    Dialect("internvl", ("internvl", "interns1", "interns2", "interns"), "ref-box", words=_boxes(_REF)),
    Dialect("minicpm", ("minicpm",), "ref-box", words=_boxes(_REF)),
    Dialect("moondream", ("moondream",), "named", scale=1.0),
    Dialect(
        "lfm",
        ("lfm[2-9]", "smolvlm", "idefics"),
        scale=1.0,
        keys=("bbox", "point", "label"),
        words=_boxes(
            "Inspect the image and detect every {things}. Provide result as a valid JSON: "
            '[{{"label": str, "bbox": [x1,y1,x2,y2]}}, ...]. Coordinates must be normalized to 0-1.'
        ),
    ),
    Dialect(
        "seed",
        ("seed", "doubao", "uitars"),
        "bbox",
        words=_boxes(
            "Detect every {things} and output <bbox> for each.",
            "Point to every {things} and output <point> for each.",
        ),
    ),
    Dialect(
        "docling",
        ("docling",),
        "doctags",
        scale=500.0,
        words={"ocr": "Convert this page to docling."},
    ),
    Dialect(
        "florence",
        ("florence",),
        "label-loc",
        shift=0.5,
        masks="polygon",
        words={
            "detect": "<OPEN_VOCABULARY_DETECTION>{list}",
            "count": "<OPEN_VOCABULARY_DETECTION>{list}",
            "point": "<OPEN_VOCABULARY_DETECTION>{list}",
            "segment": "<REFERRING_EXPRESSION_SEGMENTATION>{list}",
            "ocr": "<OCR_WITH_REGION>",
            "caption": "<CAPTION>",
            "cap": "<CAPTION>",
            "describe": "<MORE_DETAILED_CAPTION>",
        },
    ),
    Dialect("kosmos-2.5", ("kosmos25",), "xy-bbox", scale="pixels", words={"ocr": "<ocr>"}),
    Dialect(
        "kosmos-2",
        ("kosmos",),
        "patches",
        scale=1.0,
        words={
            **_boxes("<grounding><phrase> {list}</phrase>", "<grounding><phrase> {list}</phrase>"),
            "caption": "<grounding>An image of",
            "cap": "<grounding>An image of",
        },
    ),
    Dialect("paddleocr-vl", ("paddleocr",), "corners", words={"ocr": "Spotting:"}),
    Dialect(
        "hunyuan-ocr",
        ("hunyuan",),
        "tuples",
        words={"ocr": "检测并识别图片中的文字，将文本坐标格式化输出。"},
    ),
    Dialect("mineru", ("mineru",), "box-ref", label_last=True, words={"ocr": "\nLayout Detection:"}),
    Dialect(
        "dots-ocr",
        ("dotsocr", "dots3"),
        scale="pixels",
        space=Resize(28, 3136, 11_289_600),
        keys=("bbox", "point", "category"),
    ),
    Dialect(
        "rex-omni",
        ("rexomni",),
        "box-tokens",
        scale=999.0,
        words=_boxes(
            "Detect {list}. Output the bounding box coordinates in [x0, y0, x1, y1] format.",
            "Point to {list}.",
        ),
    ),
    Dialect("isaac", ("isaac", "perceptron"), "point-box"),
    Dialect(
        "cogvlm",
        ("cogvlm", "cogagent"),
        "bare",
        words=_boxes(
            "Can you point out *{list}* in the image and provide the bounding boxes of their location?"
        ),
    ),
    Dialect("minimax", ("minimax",), scale=1.0, obeys=True, words=_array("fractions between 0 and 1")),
    Dialect("ferret", ("ferret",), "bare"),
    Dialect("shikra", ("shikra",), "bare", scale=1.0),
    Dialect("nova", ("nova(?:pro|lite|premier|2)",), words=_array(_THOUSAND)),
    Dialect("inkling", ("inkling", "videollama"), order=None, scale=None, obeys=True),
)
"""Every family; the first whose expression is found in an id is taken."""
