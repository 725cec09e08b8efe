"""Findings of `nbvlm doctor`: a state, a fact and, where something can be done, advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm._text import count, visible
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Finding", "good", "note", "problem", "report", "run_check"]

_SIGNS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the thing that was checked, its state, the fact, and what to do."""

    check: str
    state: str  # "ok", "note" (works, but worth knowing) or "problem" (something will not work)
    found: str
    advice: str = ""


def good(check: str, found: str) -> Finding:
    """Make a finding of something that works."""
    return Finding(check, "ok", found)


def note(check: str, found: str, advice: str = "") -> Finding:
    """Make a finding of something worth knowing."""
    return Finding(check, "note", found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Make a finding of something that will not work."""
    return Finding(check, "problem", found, advice)


def run_check(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Run a check; one that fails is a finding too."""
    try:
        return list(check())
    except Error as error:
        return [problem(name, error.message, error.hint or "See the documentation of nbvlm.")]
    except Exception as error:  # noqa: BLE001 - the other checks follow
        reason = str(error) or type(error).__name__
        advice = "Please report this as a fault of nbvlm doctor."
        return [problem(name, f"could not be checked: {reason}", advice)]


def report(findings: Iterable[Finding]) -> str:
    """Format findings for a terminal.

    >>> print(report([note("key", "none found", "Set NVIDIA_API_KEY.")]))
    note  key  none found
               → Set NVIDIA_API_KEY.
    Everything needed works; 1 note.
    """
    findings = list(findings)
    wide = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{_SIGNS[finding.state]}  {finding.check:<{wide}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':<{wide + 8}}→ {finding.advice}")
    return visible("\n".join([*lines, _summary(findings)]))


def _summary(findings: list[Finding]) -> str:
    problems = sum(finding.state == "problem" for finding in findings)
    notes = sum(finding.state == "note" for finding in findings)
    noted = f"; {count(notes, 'note')}" if notes else ""
    if problems:
        return f"{count(problems, 'problem')}{noted}."
    return f"Everything needed works{noted}."
