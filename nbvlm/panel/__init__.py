"""The panel: pick a picture, ask, watch the answer and its boxes arrive, in a notebook.

`Panel` is all that is public. `loop` runs the waiting and `order` keeps what a person did in its order;
`session` does the work, with `source` for the picture, `line` for the model and its key, and `desk` for what
the head, the key field and the error card ask for. What is seen are widgets, each with its page part (a
module and a style sheet, put together by `page`) beside it.
"""

from __future__ import annotations

from nbvlm.panel.panel import Panel

__all__ = ["Panel"]
