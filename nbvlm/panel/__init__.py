"""The panel: pick a picture, ask, watch the answer and its boxes arrive, in a notebook.

`Panel` is all that is public. `loop` runs the waiting, `session` does the work; `stage`, `picker`, `header`
and `controls` are what is seen, each with its page part (one ES module, one style sheet) beside it.
"""

from __future__ import annotations

from nbvlm.panel.panel import Panel

__all__ = ["Panel"]
