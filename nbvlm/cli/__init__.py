"""The command `nbvlm`; `nbvlm.cli.main` runs it."""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.cli.options import asking as asking
    from nbvlm.cli.options import declare as declare
    from nbvlm.cli.options import opening as opening
    from nbvlm.cli.output import Words as Words
    from nbvlm.cli.output import status_line as status_line

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.cli.options": "asking declare opening",
        "nbvlm.cli.output": "Words status_line",
    },
)
