"""An answer as it streams: its text with token chips, what limits it, and the reasoning, folded."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import prompts
from nbvlm.client import DetectionFound, Event, ReasoningDelta, TextDelta
from nbvlm.errors import Error
from nbvlm.result import Result, summary
from nbvlm.widgets._part import PartBox
from nbvlm.widgets.answer_page import AnswerPage
from nbvlm.widgets.esm import script
from nbvlm.widgets.status_text import failure_sentences, finished_text, stopped_text
from nbvlm.widgets.stream_throttle import DetectionFeed, StreamThrottle, boxes, show
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.images import Picture

__all__ = ["Answer"]


class _OwnPage(AnswerPage):
    _esm = script("answer", "colors", "scheme", "theme", "place", "answer")


class Answer(PartBox):
    """Show the text of an answer as it streams, with chips for its tokens.

    Notices of the answer stand above it and are spoken with it; reasoning is folded below it. Methods may be
    called from any thread. The page gets the pieces at a steady pace, at most 12 messages a second.

    Parameters
    ----------
    result
        A whole answer.
    step
        Returns, for an answer with notices, "models" where another model is the next step: a button below
        the notices then leads to the choice of models of the panel around.

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
    viewer : Viewer or None
        Where the boxes and masks of the answer are drawn as they come, if it shows the picture that was asked
        about. Meanwhile its boxes cannot be corrected, and observers of its detections are called on a thread
        of the package. Another viewer takes the next answer. Default: None. ``answer.viewer = viewer``
    group : str
        Parts of one group light and select the same detections on the page. Default: that of the viewer, else
        none. ``answer.group = viewer.group``

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
    viewer = traitlets.Instance(Viewer, allow_none=True)
    group = traitlets.Unicode("")

    def __init__(
        self,
        result: Result | None = None,
        *,
        step: Callable[[Result], str] | None = None,
        bare: bool = False,
        **traits: Any,
    ) -> None:
        self._lock = threading.RLock()
        self._throttle: StreamThrottle | None = None
        self._showing = False
        self._about: Picture | None = None  # in the viewer when the answer began
        self._step, self._bare = step, bare
        self._page = AnswerPage() if bare else _OwnPage()
        super().__init__([self._page], bare=bare, **traits)
        if result is not None:
            self.result = result

    def clear(self) -> None:
        """Show nothing; pieces that are still under way to the page are dropped."""
        self._end()
        with self._lock:
            no_picture = self.viewer is not None and self.viewer.image is None
            self._page.clear("empty" if no_picture else "ready")
            self._put(text="", reasoning="")
            self._set_result(None)
        self._clear_viewer()

    def begin(self, prompt: str = "") -> None:
        """Begin an answer, in place of the one on the screen; `feed` begins one where none runs."""
        self.start(prompt)

    def start(self, prompt: str = "") -> StreamThrottle:
        """Begin an answer as `begin` does, and return what takes its events.

        `feed` takes them too, and keeps `text` and `reasoning` up to date meanwhile.
        """
        if self.comm is None:
            raise Error("The answer is closed.", hint="Make a new one with nbvlm.widgets.Answer().")
        self.prompt = prompt or self.prompt  # first, for a wrong one ends nothing
        self._end()
        viewer = self.viewer
        self._clear_viewer()
        with self._lock:
            self._about = viewer.image if viewer is not None else None
            feed = None if viewer is None else DetectionFeed(viewer)
            throttle = self._throttle = StreamThrottle(self._page, self.prompt, feed)
            self._page.begin(viewer.size if viewer is not None else None)
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
        if not isinstance(event, Event):
            raise TypeError(f"feed takes an event of a stream or a Result, got {type(event).__name__}.")
        if self.comm is None:
            return
        with self._lock:
            (self._throttle or self.start()).take(event)
            if isinstance(event, ReasoningDelta):
                self._put(reasoning=self.reasoning + event.text)
            elif isinstance(event, TextDelta):
                self._put(text=self.text + event.text)
            elif isinstance(event, DetectionFound):
                self._page.about(event.detection.size)

    def finish(self, result: Result, pieces: int | None = None) -> None:
        """Show the whole answer, with its notices and its reasoning.

        `pieces` is how many it came in, if it did not stream here and that is known.
        """
        if not isinstance(result, Result):
            raise TypeError(f"finish takes a Result, got {type(result).__name__}.")
        throttle = self._end()
        with self._lock:
            quota = throttle.quota if throttle is not None else ""
            self._page.finish(
                result.text,
                boxes(result.detections, result.prompt),
                [
                    *finished_text(result, throttle.pieces if throttle is not None else pieces),
                    *filter(None, [quota]),
                ],
                size=result.detections.size,
                said=summary(result),
                notes=result.notices,
                reasoning=result.reasoning,
                by=result.model,
                asked="" if result.asked == result.prompt else result.asked,
                step="" if self._step is None else self._step(result),
            )
            self._put(text=result.text, reasoning=result.reasoning)
            self._set_result(result)
        viewer = self.viewer
        # A person may have chosen another picture meanwhile.
        if viewer is not None and (throttle is None or viewer.image is self._about) and viewer.feed is None:
            show(viewer, result=result)

    def stop(self) -> None:
        """End the answer that is running; its pieces stay on the screen."""
        throttle = self._end()
        if throttle is not None:
            self._page.stopped(stopped_text(throttle.seconds, throttle.pieces))

    def restore(self) -> None:
        """Send what is shown to the page again."""
        self._page.send_all()

    def fail(self, error: BaseException) -> None:
        """End the answer that is running with an error; its pieces stay, with the error above them."""
        if not isinstance(error, BaseException):
            raise TypeError(f"fail takes an error, got {type(error).__name__}.")
        self._end()
        self._page.fail("" if self._bare else failure_sentences(error))

    def _clear_viewer(self) -> None:
        if self.viewer is not None:
            show(self.viewer, result=None, detections=None, things=list(prompts.things(self.prompt)))

    def _end(self) -> StreamThrottle | None:
        """End the answer that is running, if any; without the lock, since this waits for observers."""
        with self._lock:
            throttle, self._throttle = self._throttle, None
        if throttle is not None:
            throttle.close()
        self._put(running=False)
        return throttle

    def _put(self, **values: Any) -> None:
        for name, value in values.items():
            self.set_trait(name, value)

    def _set_result(self, result: Result | None) -> None:
        self._showing = True
        try:
            self.result = result
        finally:
            self._showing = False

    @traitlets.observe("viewer")  # type: ignore[untyped-decorator]
    def _viewer_changed(self, change: Any) -> None:
        old, new = change["old"], change["new"]
        if self.group in ("", getattr(old, "group", "")):
            self.group = new.group if new is not None else ""
        if new is not None and self.result is not None:
            show(new, result=self.result)

    @traitlets.observe("group")  # type: ignore[untyped-decorator]
    def _group_changed(self, change: Any) -> None:
        self._page.group = change["new"]

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
        if "_throttle" in self.__dict__:  # its constructor may have failed
            self._end()
        super().close()
