"""Errors for the command line: their hints name Python, which becomes the options of a command.

>>> in_command('Use route="auto" or nbvlm.Client("demo").')
'Use --route auto or --endpoint demo.'
"""

from __future__ import annotations

import re

__all__ = ["in_command"]

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
    (r"`?Client\([^)]*\)\.models\([^)]*\)`?", "nbvlm models"),
    (r"nbvlm\.Client\(\"([\w.-]+)\", ([a-z_]+)=…\)", r"--endpoint \1 --\2 …"),
    (r"nbvlm\.Client\(\"([\w.-]+)\"(?:, …)?\)", r"--endpoint \1"),
    (r"nbvlm\.Client\(url, model=('[^']*')\)", r"--endpoint URL --model \1"),
    (r"(?:nbvlm\.)?client\.Timeouts\((\w+)=…\)", "SECONDS"),
    (r"\bapi_key=…", "--key-from VARIABLE"),
)
_KEYWORD = re.compile(rf"\b({'|'.join(_OPTIONS)})=(\"[^\"]*\"|'[^']*'|[^\s,;)]*[^\s,;).])")


def in_command(text: str) -> str:
    """Write what a sentence says of Python in the words of the command line."""
    for pattern, words in _RULES:
        text = re.sub(pattern, words, text)
    return _KEYWORD.sub(lambda match: f"--{match[1].replace('_', '-')} {match[2].strip(chr(34))}", text)
