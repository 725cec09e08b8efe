"""The command `nbvlm`, and its options and output for the magics."""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.cli.options import add_arguments as add_arguments
    from nbvlm.cli.options import client_keywords as client_keywords
    from nbvlm.cli.options import question_keywords as question_keywords
    from nbvlm.cli.output import TextWriter as TextWriter
    from nbvlm.cli.output import status_line as status_line

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.cli.options": "add_arguments client_keywords question_keywords",
        "nbvlm.cli.output": "TextWriter status_line",
    },
)
