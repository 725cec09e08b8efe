"""An answer as it streams: its text with token chips, what limits it, and the reasoning, folded."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.client import ReasoningDelta, TextDelta
from nbvlm.result import Result, alt_text, summary
from nbvlm.widgets._part import PartBox
from nbvlm.widgets.esm import script
from nbvlm.widgets.status_text import failure_sentences, finished_text, stopped_text
from nbvlm.widgets.stream_throttle import StreamThrottle, boxes
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.client import Event
    from nbvlm.errors import Error
    from nbvlm.widgets.mask_outliner import MaskOutliner

__all__ = ["Answer"]


class _Page(Viewer):
    """The panel's answer without its picture."""

    _esm = script(
        "viewer_root",
        *("colors", "scheme", "theme", "place", "viewer_root", "picture_view", "detections_list", "answer"),
    )
    css_class = "nbvlm-answer-only"


class Answer(PartBox):
    """Show the text of an answer as it streams, with chips for its tokens.

    Notices of the answer stand above it and are spoken with it; reasoning is folded below it. Methods may be
    called from any thread. The page gets the pieces at a steady pace, at most 12 messages a second.

    Attributes
    ----------
    text : str
        The text so far, as the model wrote it. Default: "". Read-only.
        ``answer.observe(lambda change: print(change.new), "text")``
    reasoning : str
        What the model thought before it answered. Default: "". Read-only. ``answer.reasoning``
    result : Result or None
        The whole answer. Setting it shows it; None clears the part. Default: None. ``answer.result = result``
    running : bool
        Whether an answer has begun and not ended. Default: False. Read-only. ``answer.running``
    prompt : str
        The question, which decides the colours of labels. Default: "". ``answer.prompt = "detect cat"``

    Raises
    ------
    traitlets.TraitError
        For a value of another kind.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> answer = nbvlm.widgets.Answer()  # doctest: +SKIP
    >>> with nbvlm.Client("demo").stream("photo.jpg", "caption en") as stream:  # doctest: +SKIP
    ...     for event in stream:
    ...         answer.feed(event)
    >>> answer.finish(stream.result)  # doctest: +SKIP
    """

    text = traitlets.Unicode("", read_only=True)
    reasoning = traitlets.Unicode("", read_only=True)
    running = traitlets.Bool(False, read_only=True)
    result = traitlets.Instance(Result, allow_none=True)
    prompt = traitlets.Unicode("")

    def __init__(self, result: Result | None = None, **traits: Any) -> None:
        self._lock = threading.RLock()
        self._throttle: StreamThrottle | None = None
        self._showing = False
        self._page = self._new_page()
        self._outliner = self._new_outliner()
        super().__init__([self._page], **traits)
        if result is not None:
            self.result = result

    def clear(self) -> None:
        """Show nothing; pieces that are still under way to the page are dropped."""
        with self._lock:
            self._end()
            self._blank()
            self._put(text="", reasoning="")
            self._set_result(None)

    def begin(self, prompt: str = "") -> None:
        """Begin an answer, in place of the one on the screen; `feed` begins one where none runs."""
        self.start(prompt)

    def start(self, prompt: str = "") -> StreamThrottle:
        """Begin an answer as `begin` does, and return what takes its events.

        `feed` takes them too, and keeps `text` and `reasoning` up to date meanwhile.
        """
        with self._lock:
            self._end()
            self.prompt = prompt or self.prompt
            throttle = self._throttle = StreamThrottle(self._page, self.prompt, self._outliner)
            self._page.begin()
            self._put(text="", reasoning="", running=True)
            self._set_result(None)
            return throttle

    def feed(self, event: Event | Result | Error) -> None:
        """Take an event of a stream; a `Result` ends the answer, and an error does.

        Raises
        ------
        TypeError
            If `event` is of another kind.
        """
        if isinstance(event, Result):
            self.finish(event)
            return
        if isinstance(event, Exception):
            self.fail(event)
            return
        if not hasattr(event, "text") and not hasattr(event, "detection") and not hasattr(event, "kind"):
            raise TypeError(f"feed takes an event of a stream or a Result, got {type(event).__name__}.")
        with self._lock:
            (self._throttle or self.start()).take(event)
            if isinstance(event, ReasoningDelta):
                self._put(reasoning=self.reasoning + event.text)
            elif isinstance(event, TextDelta):
                self._put(text=self.text + event.text)

    def finish(self, result: Result, pieces: int | None = None) -> None:
        """Show the whole answer, with its notices and its reasoning.

        `pieces` is how many it came in, if it did not stream here and that is known.
        """
        with self._lock:
            pieces = self._throttle.pieces if self._throttle is not None else pieces
            quota = self._throttle.quota if self._throttle is not None else ""
            self._end()
            self._page.finish(
                result.text,
                boxes(result.detections, result.prompt),
                [*finished_text(result, pieces), *filter(None, [quota])],
                alt=alt_text(result),
                said=summary(result),
                notes=result.notices,
                reasoning=result.reasoning,
                by=result.model,
                asked="" if result.asked == result.prompt else result.asked,
                **self._about(result),
            )
            if self._outliner is not None:
                self._outliner.want(enumerate(result.detections.lazy_masks))
            self._put(text=result.text, reasoning=result.reasoning)
            self._set_result(result)

    def stop(self) -> None:
        """End the answer that is running; its pieces stay on the screen."""
        with self._lock:
            throttle = self._throttle
            self._end()
            if throttle is not None:
                self._page.stopped(stopped_text(throttle.seconds, throttle.pieces))

    def restore(self) -> None:
        """Send what is shown to the page again."""
        self._page.restore()

    def fail(self, error: BaseException) -> None:
        """End the answer that is running with an error; its pieces stay, with the error above them."""
        with self._lock:
            self._end()
            self._page.fail()
            self._explain(error)

    # What a picture above the answer changes

    def _new_page(self) -> Viewer:
        return _Page()

    def _new_outliner(self) -> MaskOutliner | None:
        return None

    def _about(self, _result: Result) -> Mapping[str, Any]:
        return {}

    def _blank(self) -> None:
        self._page.picture(None, None)

    def _explain(self, error: BaseException) -> None:
        self._page.remark(self._page.turn, failure_sentences(error))

    def _end(self) -> None:
        throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.close()
        self._put(running=False)

    def _put(self, **values: Any) -> None:
        for name, value in values.items():
            self.set_trait(name, value)

    def _set_result(self, result: Result | None) -> None:
        self._showing = True
        try:
            self.result = result
        finally:
            self._showing = False

    @traitlets.observe("result")  # type: ignore[untyped-decorator]
    def _result_changed(self, change: Any) -> None:
        if self._showing:
            return
        if change["new"] is None:
            self.clear()
        else:
            self.finish(change["new"])

    def close(self) -> None:
        """Take the part off the page, and end it; again, nothing happens."""
        throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.close()
        super().close()
