"""`{variables}` in a magic, as IPython expands them: expressions, conversions and formats, and `$name`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.utils.text import DollarFormatter, FullEvalFormatter

from nbvlm.errors import PromptError
from nbvlm.result import description

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["evaluated", "expand"]

_BROKEN = re.compile(r"expected '}'|unmatched|Single '|end of string|unexpected '\{'|expected ':'")


def expand(text: str, names: Mapping[str, Any]) -> str:
    """Replace `{expressions}` and `$names` by their values.

    Parameters
    ----------
    text
        Doubled braces stand for themselves, and so do single ones that are never closed.
    names
        The user's variables.

    Raises
    ------
    PromptError
        If an expression cannot be evaluated; unlike IPython's own magics, which would send it as it is.

    Examples
    --------
    >>> expand("detect {' ; '.join(things)}", {"things": ["cat", "dog"]})
    'detect cat ; dog'
    """
    if "{" not in text and "$" not in text and "}" not in text:
        return text
    try:
        if "$" in text:
            try:
                return str(DollarFormatter().vformat(text, (), names))
            except NameError:  # perhaps of a $word that is none of ours
                pass
        return str(FullEvalFormatter().vformat(text, (), names))
    except ValueError as error:
        if _BROKEN.search(str(error)):
            return text
        raise _refused(text, error) from None
    except Exception as error:  # noqa: BLE001 - whatever the user's own expression raises
        raise _refused(text, error) from None


def evaluated(expression: str, names: Mapping[str, Any]) -> Any:
    """Evaluate one expression of the user's; errors as `expand`."""
    try:
        return eval(expression, dict(names))  # noqa: S307 - typed by the user, into the user's own kernel
    except Exception as error:  # noqa: BLE001 - whatever the user's own expression raises
        raise _refused("{" + expression + "}", error) from None


def _refused(text: str, error: Exception) -> PromptError:
    shown = description.visible(description.shorten(" ".join(text.split()), 80))
    reason = description.visible(description.shorten(str(error) or type(error).__name__, 200))
    hint = "Define it first; to send braces as they are, double them: {{…}}."
    return PromptError(f"What stands in braces in {shown!r} has no value: {reason}.", hint=hint)
