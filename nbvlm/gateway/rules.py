"""The teacher's switches: models, tasks, pause, closing time, wall."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbvlm.gateway.config import Config
    from nbvlm.gateway.store import Store

__all__ = ["TASKS", "RuleBook", "Rules"]

TASKS = {
    "caption": "captions",
    "describe": "descriptions",
    "detect": "boxes",
    "segment": "masks",
    "point": "points",
    "count": "counting",
    "ocr": "reading text",
    "question": "questions in own words",
}
"""The tasks, and their names for people."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The state of the class."""

    model: str  # that new clients ask
    models: tuple[str, ...]  # that may be asked
    tasks: tuple[str, ...] = tuple(TASKS)
    paused: bool = False
    closes: str = ""  # time of day, or empty
    wall: bool = False

    def is_closed(self, now: datetime | None = None) -> bool:
        """Return whether the closing time of today is over."""
        return bool(self.closes) and (now or datetime.now()).strftime("%H:%M") >= self.closes


class RuleBook:
    """The rules in force, kept in the store."""

    def __init__(self, store: Store, config: Config, models: tuple[str, ...]) -> None:
        self._store = store
        begun = Rules(model=models[0], models=models, closes=config.class_.closes, wall=config.wall.on)
        kept = store.setting("rules")
        self.now = _restored(begun, kept) if isinstance(kept, dict) else begun
        self.known_models = models

    def change(self, **changes: Any) -> Rules:
        """Put other rules in force."""
        self.now = replace(self.now, **changes)
        self._store.set("rules", asdict(self.now))
        return self.now


def _restored(begun: Rules, kept: dict[str, Any]) -> Rules:
    """Return the rules of the last run, as far as they fit to the configuration of this one."""
    models = tuple(model for model in begun.models if model in kept.get("models", ())) or begun.models
    model = kept.get("model") if kept.get("model") in models else models[0]
    tasks = tuple(task for task in TASKS if task in kept.get("tasks", TASKS))
    return Rules(
        model=str(model),
        models=models,
        tasks=tasks or tuple(TASKS),
        paused=bool(kept.get("paused")),
        closes=str(kept.get("closes", begun.closes)),
        wall=bool(kept.get("wall", begun.wall)),
    )
