"""Errors for the command line: their hints name Python, which becomes the options of a command.

>>> in_command('Use route="auto" or nbvlm.Client("demo").')
'Use --route auto or --endpoint demo.'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbvlm.errors import Error

__all__ = ["as_options", "in_command"]

_OPTIONS = (
    "temperature", "top_p", "max_tokens", "seed", "route", "model", "base_url", "timeout", "speak", "pace",
    "device", "dtype", "quantize",
)  # fmt: skip
_RULES = (
    (r"nbvlm\.batch\(images, prompt\)", "nbvlm ask FILE FILE … PROMPT"),
    (r"(?:all to )nbvlm\.batch", "all of them to nbvlm ask"),
    (r"(?:ask\(…, |Picture\.load\(url, )allow_private=True\)", "--allow-private"),
    (r", or call nbvlm\.login\(\)", ""),
    (r"allow_http=True", "--allow-http"),
    (r"translate=False", "--no-translate"),
    (r"`Client\(\"([^\"]*)\", model=\"\?\"\)\.models\(vision=True\)`", r"`nbvlm models \1 --vision`"),
    (r"`Client\(\"([^\"]*)\", model=\"\?\"\)\.models\(\)`", r"`nbvlm models \1`"),
    (r"`Client\(url, model=\"\?\"\)\.models\([^)]*\)`", "`nbvlm models URL`"),
    (r"nbvlm\.Client\(\"([\w.-]+)\", ([a-z_]+)=…\)", r"--endpoint \1 --\2 …"),
    (r"nbvlm\.Client\(\"([\w.-]+)\"(?:, …)?\)", r"--endpoint \1"),
    (r"nbvlm\.Client\(url, model=('[^']*')\)", r"--endpoint URL --model \1"),
    (r"(?:nbvlm\.)?client\.Timeouts\((\w+)=…\)", "SECONDS"),
    (r"\bapi_key=…", "--key-from VARIABLE"),
)
_KEYWORD = re.compile(rf"\b({'|'.join(_OPTIONS)})=(\"[^\"]*\"|'[^']*'|…|[^\s,;)]*[^\s,;).])")


_VALUES = {"model": "ID", "timeout": "S", "device": "NAME", "base_url": "URL"}
"""Placeholder for an unknown value."""


def as_options(error: Error) -> Error:
    """Write the hint of an error in the words of the command line.

    >>> from nbvlm.errors import Error
    >>> as_options(Error("It needs a model.", hint="Pass model=….")).hint
    'Pass --model ID.'
    """
    if error.hint is not None:
        error.hint = in_command(error.hint)
    return error


def in_command(text: str) -> str:
    """Translate a sentence about Python to the options of the command line."""
    for pattern, words in _RULES:
        text = re.sub(pattern, words, text)
    return _KEYWORD.sub(_option, text)


def _option(keyword: re.Match[str]) -> str:
    name, value = keyword[1], keyword[2].strip('"')
    if value == "…":
        value = _VALUES.get(name, "VALUE")
    return f"--{name.replace('_', '-')} {value}"
