"""The teacher's page and actions."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbvlm._text import csv_cell, duration
from nbvlm.gateway.people import STUDENT
from nbvlm.gateway.quotas import Refused, midnight
from nbvlm.gateway.rules import TASKS

if TYPE_CHECKING:
    from nbvlm.gateway.people import Person
    from nbvlm.gateway.running import Gateway

__all__ = ["Teacher"]

_ACTIVE_S = 300
_MORE, _MORE_TOKENS = 20, 20_000
SAID = {
    "paused": "The class is paused.",
    "resumed": "The class goes on.",
    "rules": "The rules are saved.",
    "more": f"The student may ask {_MORE} more questions today.",
    "blocked": "The student is blocked.",
    "unblocked": "The student may ask again.",
    "removed": "The token is worthless from now on, and the name is free.",
    "code": "There is a new code; the old one is worthless.",
}
"""Messages after an action, by its name in the address."""


class Teacher:
    """The teacher's view of a gateway, and the actions."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def view(self, *, form: str, said: str, every: int, address: str) -> dict[str, Any]:
        """Collect the values that the page shows."""
        gateway, dispatcher = self._gateway, self._gateway.dispatcher
        latencies = sorted(one.first_s for one in dispatcher.recent if one.first_s is not None)
        rows = await gateway.store.read_slowly(
            "SELECT student, MAX(started) FROM usage WHERE started >= ? GROUP BY student",
            (midnight(time.time()),),
        )
        last = dict(rows)
        students = [self._student(person, last.get(person.id)) for person in gateway.register.all()]
        active = sum(one["active"] for one in students)
        questions, tokens = (sum(one[name] for one in students) for name in ("questions", "tokens"))
        joins = gateway.joins
        return {
            "prefix": gateway.prefix,
            "config": gateway.config,
            "rules": gateway.rules.now,
            "form": form,
            "said": SAID.get(said, ""),
            "every": every,
            "upstream": f"It is asked as {gateway.upstream.describe()}.",
            "models": gateway.rules.known_models,
            "facts": (
                ("Active students", str(active)),
                ("Under way", str(dispatcher.queue.under_way)),
                ("Waiting", str(dispatcher.queue.waiting())),
                ("Questions today", str(questions)),
                ("Tokens today", f"{tokens:,}"),
                ("Failures lately", str(len(dispatcher.errors))),
                ("First piece, half", _at(latencies, 0.5)),
                ("First piece, 95 of 100", _at(latencies, 0.95)),
                ("Answers kept", str(len(dispatcher.cache))),
            ),
            "students": students,
            "alone": gateway.hub is None,
            "code": joins.class_code if joins is not None else None,
            "personal": joins.personal() if joins is not None else [],
            "address": address,
            "recent": list(reversed(dispatcher.recent)),
            "wall": dispatcher.wall(),
            "errors": list(dispatcher.errors),
        }

    def _student(self, person: Person, last: float | None) -> dict[str, Any]:
        questions, tokens = self._gateway.dispatcher.quotas.used(person)
        left = self._gateway.dispatcher.quotas.left(person)
        active = last is not None and last > time.time() - _ACTIVE_S
        state = "active" if active else "not active today" if last is None else f"seen {_clock(last)}"
        return {
            "person": person,
            "questions": questions,
            "tokens": tokens,
            "left": "no limit" if left is None else f"{left[0]} of {left[1]}",
            "active": active,
            "state": state if person.role == STUDENT else f"teacher, {state}",
            "waiting": self._gateway.dispatcher.queue.waiting(str(person.id)),
        }

    async def act(self, form: dict[str, list[str]]) -> tuple[str, str]:
        """Carry an action out; return the name of its message, and the place on the page.

        Raises
        ------
        Refused
            If the action, the student or the model is not known.
        """
        action = form.get("action", [""])[0]
        done = getattr(self, f"_do_{action}", None) if action.isalpha() else None
        if done is None:
            raise Refused(400, "This page does not know the action: load it again")
        result: tuple[str, str] = await done(form)
        return result

    def _person(self, form: dict[str, list[str]]) -> Person:
        number = form.get("id", [""])[0]
        person = self._gateway.register.get(int(number)) if number.isdecimal() and len(number) < 12 else None
        if person is None:
            raise Refused(404, "This student was removed: load the page again")
        return person

    async def _do_pause(self, _form: dict[str, list[str]]) -> tuple[str, str]:
        self._gateway.rules.change(paused=True)
        self._gateway.dispatcher.queue.pause(True)
        return "paused", "main"

    async def _do_resume(self, _form: dict[str, list[str]]) -> tuple[str, str]:
        self._gateway.rules.change(paused=False)
        self._gateway.dispatcher.queue.pause(False)
        return "resumed", "main"

    async def _do_rules(self, form: dict[str, list[str]]) -> tuple[str, str]:
        known = self._gateway.rules.known_models
        model = form.get("model", [""])[0]
        if model not in known:
            raise Refused(400, "The configuration does not list this model: choose one of the list")
        models = tuple(name for name in known if name in form.get("models", []) or name == model)
        tasks = tuple(name for name in TASKS if name in form.get("tasks", []))
        if not tasks:
            raise Refused(400, "At least one task must be allowed; pause the class to allow none")
        closes = form.get("closes", [""])[0].strip()
        try:
            closes = datetime.strptime(closes, "%H:%M").strftime("%H:%M") if closes else ""
        except ValueError:
            raise Refused(400, "The closing time is a time of day, such as 17:30") from None
        wall = form.get("wall", [""])[0] == "on"
        self._gateway.rules.change(model=model, models=models, tasks=tasks, closes=closes, wall=wall)
        self._gateway.dispatcher.wall()  # forgets pictures at once where it was switched off
        return "rules", "rules"

    async def _do_more(self, form: dict[str, list[str]]) -> tuple[str, str]:
        person, now = self._person(form), time.time()
        kept = person.extra_until > now
        self._gateway.register.change(
            person,
            extra_day=(person.extra_day if kept else 0) + _MORE,
            extra_tokens=(person.extra_tokens if kept else 0) + _MORE_TOKENS,
            extra_until=midnight(now, 1),
        )
        return "more", "students"

    async def _do_block(self, form: dict[str, list[str]]) -> tuple[str, str]:
        self._gateway.register.change(self._person(form), blocked=True)
        return "blocked", "students"

    async def _do_unblock(self, form: dict[str, list[str]]) -> tuple[str, str]:
        self._gateway.register.change(self._person(form), blocked=False)
        return "unblocked", "students"

    async def _do_remove(self, form: dict[str, list[str]]) -> tuple[str, str]:
        if self._gateway.hub is not None:
            raise Refused(400, "Users of the JupyterHub are removed there")
        self._gateway.register.revoke(self._person(form))
        return "removed", "students"

    async def _do_code(self, _form: dict[str, list[str]]) -> tuple[str, str]:
        if self._gateway.joins is not None:
            self._gateway.joins.renew_class()
        return "code", "codes"

    async def _do_personal(self, form: dict[str, list[str]]) -> tuple[str, str]:
        joins, name = self._gateway.joins, form.get("name", [""])[0]
        if joins is None or name not in self._gateway.config.people.names:
            raise Refused(404, "The configuration does not list this name: load the page again")
        if (person := self._gateway.register.named(name)) is not None:
            self._gateway.register.revoke(person)
        joins.renew_personal(name)
        return "code", "codes"

    async def csv(self) -> str:
        """Return the usage that is kept, one question a line."""
        rows = await self._gateway.store.read_slowly(
            "SELECT students.name, usage.started, model, task, status, prompt_tokens, completion_tokens, "
            "first_s, total_s, shared FROM usage LEFT JOIN students ON students.id = usage.student "
            "ORDER BY usage.id"
        )
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(
            [
                "student",
                "started",
                "model",
                "task",
                "status",
                "prompt_tokens",
                "completion_tokens",
                "first_s",
                "total_s",
                "shared",
            ]
        )
        for name, started, *rest in rows:
            when = datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
            writer.writerow(map(csv_cell, (name or "removed", when, *rest)))
        return buffer.getvalue()


def _at(latencies: list[float], share: float) -> str:
    return duration(latencies[min(int(len(latencies) * share), len(latencies) - 1)]) if latencies else "–"


def _clock(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))
