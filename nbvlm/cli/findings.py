"""What `nbvlm doctor` finds: a state, a fact and, where something can be done, what."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nbvlm._text import count, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Finding", "good", "guarded", "note", "problem", "report"]

_SIGNS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes
    ----------
    check
        What was looked at.
    state
        "ok", "note" (works, but worth knowing) or "problem" (something will not work).
    found
        The fact.
    advice
        What to do; empty if nothing.
    """

    check: str
    state: str
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def good(check: str, found: str) -> Finding:
    """Make a finding of something that works."""
    return Finding(check, "ok", found)


def note(check: str, found: str, advice: str = "") -> Finding:
    """Make a finding of something worth knowing."""
    return Finding(check, "note", found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Make a finding of something that will not work."""
    return Finding(check, "problem", found, advice)


def guarded(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Look; a look that fails is a finding too."""
    try:
        return list(look())
    except Exception as error:  # noqa: BLE001 - a doctor has to see all patients
        reason = str(error) or type(error).__name__
        advice = "Please report this as a fault of nbvlm doctor."
        return [problem(check, f"could not be checked: {reason}", advice)]


def report(findings: Iterable[Finding]) -> str:
    """Lay findings out for a terminal.

    Examples
    --------
    >>> print(report([note("key", "none found", "Set NVIDIA_API_KEY.")]))
    note  key  none found
               → Set NVIDIA_API_KEY.
    Everything needed works; 1 note.
    """
    told = list(findings)
    wide = max((len(finding.check) for finding in told), default=0)
    lines = []
    for finding in told:
        lines.append(f"{_SIGNS[finding.state]}  {finding.check:<{wide}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':<{wide + 8}}→ {finding.advice}")
    return visible("\n".join([*lines, _summary(told)]))


def _summary(findings: list[Finding]) -> str:
    problems = sum(finding.state == "problem" for finding in findings)
    notes = sum(finding.state == "note" for finding in findings)
    noted = f"; {count(notes, 'note')}" if notes else ""
    if problems:
        return f"{count(problems, 'problem')}{noted}."
    return f"Everything needed works{noted}."
