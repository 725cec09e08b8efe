"""Answer questions with a model of transformers, several at once in one forward pass.

Questions that wait are answered together: the next pass takes all that have come while one was running, up to
a limit. Each row samples by its own temperature, top-p, limit and seed, and ends on its own.
"""

from __future__ import annotations

import atexit
import hashlib
import queue
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm import _text
from nbvlm._background import start_thread
from nbvlm._optional import require
from nbvlm.errors import Error, ServerError
from nbvlm.local.text import Detokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

__all__ = ["AT_ONCE", "Freed", "Generation", "Token"]

AT_ONCE = 8
"""Questions in one forward pass."""
GATHER_S = 0.05
"""Seconds to wait for the questions that usually come together; a single one does not wait."""
GREEDY = 1e-5
"""Temperatures up to this one take the likeliest token."""
CLOSES_WITHIN = 60.0
"""Seconds that the computation of one token may take."""
STEP_S = 0.2
"""Seconds after which one who waits for answers looks whether to stop."""
KEPT = 16
"""Pictures whose features are kept for further questions about them."""


class Freed(Exception):
    """The model takes no question any more."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer; see `nbvlm.demo.Service`."""

    text: str
    finish_reason: str | None = None
    model: str | None = None


@dataclass(slots=True, eq=False)
class _Row:
    """One question, and its answer while it is computed."""

    image: Image.Image
    prompt: str
    temperature: float
    top_p: float
    most: int
    seed: int | None
    tokens: queue.SimpleQueue[tuple[int | None, str | None] | Exception] = field(
        default_factory=queue.SimpleQueue
    )
    count: int = 0
    done: bool = False
    random: Any = None  # its generator

    def take(self, token: int, ends: frozenset[int]) -> None:
        """Add a computed token, which may be the last one."""
        if self.done:
            return
        self.count += 1
        if token in ends:
            self.done = True
            self.tokens.put((None, "stop"))
        else:
            self.done = self.count >= self.most
            self.tokens.put((token, "length" if self.done else None))

    def close(self) -> None:
        """End a row that the model left open at its own limit."""
        if not self.done:
            self.done = True
            self.tokens.put((None, "length"))

    def fail(self, error: Exception) -> None:
        if not self.done:
            self.done = True
            self.tokens.put(error)


class Generation:
    """A loaded model.

    Parameters
    ----------
    network, processor
        Of transformers.
    name
        The model's name in results.
    at_once
        Questions in one forward pass at most.
    """

    def __init__(self, network: Any, processor: Any, name: str, at_once: int = AT_ONCE) -> None:
        self._network, self._processor, self._name, self._at_once = network, processor, name, at_once
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self._ends = _ids(network.generation_config.eos_token_id) | _ids(self._tokenizer.eos_token_id)
        self._silent = self._ends | _ids(self._tokenizer.pad_token_id) | _ids(self._tokenizer.bos_token_id)
        self._changed = threading.Condition()
        self._waiting: list[_Row] = []
        self._together = 1  # rows of the last pass, and those that waited meanwhile
        self._working = False
        self._open = True
        self._rows: list[_Row] = []  # of the running pass
        self._features = _Features.of(network)
        _OPEN.add(self)

    def __repr__(self) -> str:
        return f"Generation({self._name!r})"

    def count(self, prompt: str) -> int:
        """Count the tokens of a request, the picture's included where their number is fixed."""
        eye = getattr(self._processor, "image_processor", None)
        return len(self._tokenizer(prompt)["input_ids"]) + int(getattr(eye, "image_seq_length", None) or 0)

    def stream(
        self,
        image: Image.Image,
        prompt: str,
        *,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int | None = None,
    ) -> Iterator[Token]:
        """Answer a prompt about a picture; closing the iterator ends the computation at the next token.

        Parameters
        ----------
        image
            RGB, upright, of any size.
        prompt
            As the model's own processor takes it; chat models get it through their template.
        temperature
            0 takes the likeliest token each time.
        top_p
            Share of the probability that is sampled from, in (0, 1].
        max_tokens
            Tokens after which the answer ends.
        seed
            Makes the sampling repeatable, whatever is answered beside it.

        Yields
        ------
        Token
            The first one names the model; the last one says why the answer ends.

        Raises
        ------
        Freed
            Before the first token, if the model is closed.
        """
        row = _Row(image, prompt, temperature, top_p, max_tokens, seed)
        text = Detokenizer(self._tokenizer, self._silent)
        name: str | None = self._name
        self._add(row)
        try:
            reason = None
            while reason is None:
                taken = row.tokens.get()
                if isinstance(taken, Exception):
                    raise taken
                token, reason = taken
                piece = text.feed(token) if token is not None else ""
                yield Token(piece + text.close() if reason is not None else piece, reason, name)
                name = None
        finally:
            row.done = True

    def _add(self, row: _Row) -> None:
        with self._changed:
            if not self._open:
                raise Freed
            self._waiting.append(row)
            self._changed.notify_all()
            if self._working:
                return
            self._working = True
        start_thread(self._work, "nbvlm-local")

    def _work(self) -> None:
        while rows := self._next():
            self._attempt(rows)

    def _attempt(self, rows: Sequence[_Row]) -> None:
        """Answer rows; where that fails before any answer begins, each alone: no question harms another."""
        failure, alone = None, False
        try:
            self._answer(rows)
        except Exception as error:  # noqa: BLE001 - the model may raise anything; each reader gets it
            failure = _failure(error, self._name, len(rows))
            alone = len(rows) > 1 and not any(row.count for row in rows)
        for row in rows:
            if alone and not row.done:
                self._attempt([row])
            elif failure is not None:
                row.fail(failure)
            row.close()

    def _next(self) -> list[_Row]:
        """Take the rows of the next pass; without any, the thread ends."""
        with self._changed:
            if self._together > 1:
                wanted = min(self._together, self._at_once)
                self._changed.wait_for(lambda: len(self._waiting) >= wanted, GATHER_S)
            self._waiting = [row for row in self._waiting if not row.done]
            rows, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
            self._together = len(rows) + len(self._waiting)
            self._rows, self._working = rows, bool(rows)
            self._changed.notify_all()
            return rows

    def _answer(self, rows: Sequence[_Row]) -> None:
        torch = require("torch", purpose="A local model", extra="local")
        inputs = self._inputs(rows)
        device = self._network.device
        if self._features is not None:
            self._features.expect(inputs["pixel_values"])
        moved = {
            name: value.to(device, self._network.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        samplers = [_Sampler(torch, rows, device)] if any(row.temperature > GREEDY for row in rows) else []

        def finished(ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG001 - the library's signature
            return torch.tensor([row.done for row in rows], device=ids.device)

        self._network.generate(
            **moved,
            max_new_tokens=max(row.most for row in rows),
            do_sample=False,
            num_beams=1,
            logits_processor=samplers,
            stopping_criteria=[finished],
            streamer=_Feed(rows, self._ends),
        )
        with self._changed:
            self._together = len(rows) + len(self._waiting)

    def _inputs(self, rows: Sequence[_Row]) -> dict[str, Any]:
        texts = [self._text(row.prompt) for row in rows]
        images = [[row.image] for row in rows]  # some processors take a flat list for those of one question
        made = self._processor(
            text=texts, images=images, return_tensors="pt", padding=len(rows) > 1, padding_side="left"
        )
        return {name: value for name, value in made.items() if name != "labels"}

    def _text(self, prompt: str) -> str:
        """Write a prompt in the form of the model: its chat template, or PaliGemma's place of a picture."""
        if getattr(self._processor, "chat_template", None):
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            return str(
                self._processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
                )
            )
        return f"<image>{prompt}" if self._network.config.model_type == "paligemma" else prompt

    def drain(self, check: Callable[[], None]) -> None:
        """Take no more questions, and wait for the answers; where `check` raises, take questions again."""
        with self._changed:
            self._open = False
            try:
                while self._working:
                    check()
                    self._changed.wait(STEP_S)
            except BaseException:
                self._open = True
                raise

    def close(self) -> None:
        """End all running answers with an error, at the next token, and release the model."""
        with self._changed:
            self._open = False
            for row in (*self._rows, *self._waiting):
                row.fail(
                    ServerError("The model was freed before it answered.", status=503, hint="Ask again.")
                )
            self._changed.wait_for(lambda: not self._working, CLOSES_WITHIN)
        if self._features is not None:
            self._features.close()
        # An object that still refers to this one holds no weights then.
        self._network = self._features = None


_OPEN: weakref.WeakSet[Generation] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Let threads end: one that computes while Python ends would take the process down."""
    for generation in list(_OPEN):
        generation.close()


class _Feed:
    """Hands the tokens of each step to their rows; the first call has the prompts."""

    def __init__(self, rows: Sequence[_Row], ends: frozenset[int]) -> None:
        self._rows, self._ends, self._begun = rows, ends, False

    def put(self, tokens: Any) -> None:
        if not self._begun:
            self._begun = True
            return
        for row, token in zip(self._rows, tokens.tolist(), strict=True):
            row.take(token, self._ends)

    def end(self) -> None:
        pass


class _Sampler:
    """Draws the next token of each row that samples, and leaves no other choice.

    So the library's own choice, the likeliest token, is right for all rows, and a row's tokens depend on
    its own seed only.
    """

    def __init__(self, torch: Any, rows: Sequence[_Row], device: Any) -> None:
        self._torch, self._rows = torch, rows
        for row in rows:
            if row.temperature > GREEDY:
                row.random = torch.Generator(device)
                row.random.seed() if row.seed is None else row.random.manual_seed(row.seed)

    def __call__(self, ids: Any, scores: Any) -> Any:  # noqa: ARG002 - the library's signature
        for index, row in enumerate(self._rows):
            if row.random is None or row.done:
                continue
            token = self._draw(scores[index].float() / row.temperature, row)
            scores[index] = float("-inf")
            scores[index, token] = 0.0
        return scores

    def _draw(self, logits: Any, row: _Row) -> Any:
        """Draw from the likeliest tokens whose probabilities add up to top-p."""
        if row.top_p >= 1:
            return self._torch.multinomial(logits.softmax(-1), 1, generator=row.random)[0]
        chances, order = logits.softmax(-1).sort(descending=True)
        chances[chances.cumsum(-1) - chances >= row.top_p] = 0.0
        return order[self._torch.multinomial(chances, 1, generator=row.random)[0]]


class _Features:
    """Keeps what PaliGemma's eye saw, so that several questions about a picture encode it once.

    More cannot be kept: PaliGemma's picture tokens attend to the prompt, so their keys and values differ from
    question to question.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._encode = model, model.get_image_features
        self._kept: OrderedDict[bytes, Any] = OrderedDict()
        self._keys: list[bytes] = []
        model.get_image_features = self

    @classmethod
    def of(cls, network: Any) -> _Features | None:
        return cls(network.model) if network.config.model_type == "paligemma" else None

    def expect(self, pixels: Any) -> None:
        """Note which pictures the next pass has; they are on the CPU still."""
        self._keys = [hashlib.sha256(picture.numpy().tobytes()).digest() for picture in pixels]

    def __call__(self, pixel_values: Any, **options: Any) -> Any:
        torch = require("torch", purpose="A local model", extra="local")
        keys, self._keys = self._keys, []
        if len(keys) != len(pixel_values):  # the network's owner uses it, too
            return self._encode(pixel_values, **options)
        outputs = require("transformers.modeling_outputs", purpose="A local model", extra="local")
        new = [key for key in dict.fromkeys(keys) if key not in self._kept]
        if new:
            places = [keys.index(key) for key in new]
            seen = self._encode(pixel_values[places], **options).pooler_output
            self._kept.update(zip(new, seen, strict=True))
        found = torch.stack([self._kept[key] for key in keys])
        for key in keys:
            self._kept.move_to_end(key)
        while len(self._kept) > max(KEPT, len(keys)):
            self._kept.popitem(last=False)
        return outputs.BaseModelOutputWithPooling(pooler_output=found)

    def close(self) -> None:
        self._model.__dict__.pop("get_image_features", None)  # the class's own is found again
        self._kept.clear()
        self._model = self._encode = None


def _ids(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset(value if isinstance(value, (list, tuple)) else [value])


def _failure(error: Exception, name: str, rows: int) -> Exception:
    text = _text.reason(error)
    if (
        isinstance(error, MemoryError)
        or "out of memory" in text.lower()
        or "not enough memory" in text.lower()
    ):
        less = "Ask fewer questions at once" if rows > 1 else 'Use a smaller model, or quantize="4bit"'
        message = f"There was not enough memory for an answer of {name}."
        return ServerError(message, status=503, hint=f"{less}, then ask again.")
    return Error(f"{name} failed: {text}.", hint="Choose another picture or prompt.")
