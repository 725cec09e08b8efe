"""Take keys, account ids and signed addresses out of texts and logs.

>>> redact("Function 'f': Not found for account 'abc123'")
"Function '***': Not found for account '***'"
>>> redact("PUT https://bucket.s3.amazonaws.com/account/b?X-Amz-Signature=0123")
'PUT https://bucket.s3.amazonaws.com/***'
"""

from __future__ import annotations

import hmac
import logging
import re
import weakref
from typing import Any, NoReturn

from nbvlm._text import encodable
from nbvlm.errors import AuthenticationError

__all__ = ["Secret", "guard_logs", "redact"]

# By id, not in a set: of two equal secrets both count, and other threads may add some while it is listed.
_KNOWN: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()


class Secret:
    """A text that must never be seen."""

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str, name: str = "The key") -> None:
        self._text = text.strip() if isinstance(text, str) else ""
        if (fault := _fault(text)) is not None:
            text = self._text = ""  # so that the traceback leads to no frame that holds it
            raise AuthenticationError(
                f"{name} {fault}.",
                hint="Copy it again: the whole key, without quotes, blanks or line breaks.",
            )
        _KNOWN[id(self)] = self

    @classmethod
    def hide(cls, values: dict[str, Any], member: str, name: str = "The key") -> None:
        """Put a secret in the place of a text, which no frame of the caller holds from then on."""
        if values.get(member) is not None and not isinstance(values[member], cls):
            values[member] = cls(values.pop(member), name)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text, other._text)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "A key is never pickled: set NVIDIA_API_KEY in the environment of the worker process."
        )


def _fault(text: Any) -> str | None:
    """Return why a text cannot be a key, None where it can."""
    if not isinstance(text, str):
        return "is not a text"
    text = text.strip()
    faults = {
        "is empty": not text,
        'begins with "Bearer", which is not part of it': text.lower().startswith("bearer "),
        "stands in quotes": text[:1] in _QUOTES or text[-1:] in _QUOTES,
        "holds a blank or a line break": any(character.isspace() for character in text),
        "holds an invisible character": not text.isprintable(),
        "holds a character that keys never have": not text.isascii(),
    }
    return next((fault for fault, is_so in faults.items() if is_so), None)


_QUOTES = tuple("'\"`\u2018\u2019\u201c\u201d\u00ab\u00bb")
_ADDRESS = re.compile(r"https?://[^\s'\"<>\\]+")
_SIGNATURE = re.compile(r"(?i)X-Amz-|Signature=")
_SIGNED = "AWSAccessKeyId|StringToSign(?:Bytes)?|SignatureProvided|CanonicalRequest(?:Bytes)?|HostId|Key"
_NAMED = re.compile(r"(?i)(?:account|nca)[\s_-]?(?:id)?")
_DEEPEST = 32
# A number of repetitions that is bounded keeps the search linear in the length of a hostile text.
_RULES = (
    (re.compile(r"\b(nvapi|sk|hf)[-_][\w.-]{6,}"), r"\1-***"),
    (re.compile(r"\bAIza[\w-]{6,}"), "AIza***"),
    (re.compile(r"(?i)(\bfunction(?:\s+id)?\s{1,9}['\"])[^'\"]+"), r"\1***"),
    (re.compile(r"(?i)\b(bearer)\s{1,9}[^\s'\",)\]]+"), r"\1 ***"),
    (re.compile(r"(?i)(authorization['\"]?\s{0,9}[:=,]\s{0,9}b?['\"]?)(?!bearer)[^\s'\",)\]]+"), r"\1***"),
    (re.compile(r"(?i)(\baccount(?:[\s_-]?id)?['\"]?\s{0,9}[:=]?\s{0,9}['\"])[^'\"]+(['\"])"), r"\1***\2"),
    (re.compile(r"(?i)(\baccount(?:[\s_-]?id)?\s{0,9}[:=]\s{0,9})[\w.-]+"), r"\1***"),
    (re.compile(r"(?i)(\baccount(?:[\s_-]?id)?\s{1,9})(?=[\w-]{0,64}\d)[\w-]{6,}"), r"\1***"),
    (
        re.compile(
            r"(?i)(\bnca[\s_-]?id['\"]?\s{0,9}[:=]?\s{0,9}['\"]?)(?=[\w-]{0,64}\d|\S{0,64}['\"])[\w.-]+"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)(\bkey\s{1,9}['\"])[^'\"/]+/"), r"\1***/"),
    (re.compile(r"(https?://)[^\s/@'\"<>]+@"), r"\1***@"),
    (re.compile(r"(\bauth=\()[^)]*"), r"\1***"),  # name and password of a SOCKS proxy, as httpcore logs them
    (re.compile(r"(?i)\b(X-Amz-[\w-]{1,40}|Signature|AWSAccessKeyId)=[^\s&'\"<>]+"), r"\1=***"),
    # What S3 says of a signature that does not match: all that was signed, account and key id included.
    (re.compile(rf"(?is)<({_SIGNED})>.*?(?:</\1>|\Z)"), r"<\1>***</\1>"),
)
# Every match of an address or a rule holds one of these: most texts hold none, and are not searched further.
_MARKS = re.compile(
    r"(?i)://|<|nvapi|\bsk[-_]|\bhf[-_]|AIza|function|bearer|authorization|auth=|account|nca|key|X-Amz|Signature"
)
_OF_HTTPCORE = ("connection", "http11", "http2", "proxy", "socks")
_LOGGERS = ("nbvlm", "httpx", "httpcore", *(f"httpcore.{part}" for part in _OF_HTTPCORE))


def redact(value: Any) -> Any:
    """Return `value` without secrets; containers are walked, other objects are left as they are.

    Keys in use are replaced by exact text; keys, bearer tokens, account ids, passwords in addresses and
    the queries of addresses by pattern. Lone surrogates become their escapes, and containers in more than 32
    others become "…".
    """
    return _redact(value, _DEEPEST)


def _redact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _redact_text(value)
    if not isinstance(value, (dict, list, tuple)):
        return value
    if not depth:
        return "…"
    if isinstance(value, dict):
        return {
            _redact(key, 0): "***" if _names_account(key, item) else _redact(item, depth - 1)
            for key, item in value.items()
        }
    return type(value)(_redact(item, depth - 1) for item in value)


def _names_account(key: Any, item: Any) -> bool:
    return isinstance(key, str) and isinstance(item, (str, int)) and _NAMED.fullmatch(key) is not None


def _redact_text(text: str) -> str:
    text = encodable(text)
    known = [secret.reveal() for one in _KNOWN.valuerefs() if (secret := one()) is not None]
    for key in sorted(known, key=len, reverse=True):
        if len(key) >= 4:
            text = text.replace(key, "***")
    if not _MARKS.search(text):
        return text
    text = _ADDRESS.sub(_without_query, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _without_query(found: re.Match[str]) -> str:
    address, mark, query = found[0].partition("?")
    if not query:
        return found[0]
    # The path of a signed address holds an account id.
    origin = "/".join(address.split("/", 3)[:3])
    return f"{origin}/***" if _SIGNATURE.search(query) else f"{address}{mark}***"


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return True
        record.msg, record.args = _redact_text(message), ()
        return True


_FILTER = _Filter()


def guard_logs() -> None:
    """Put the redacting filter on our logger and on those of httpx and httpcore, which print whole URLs.

    A filter works on its own logger only, not on children, hence the list. Calling it again changes nothing.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
