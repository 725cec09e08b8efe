"""Small texts: sizes, durations, guesses at a misspelt name."""

from __future__ import annotations

__all__: list[str] = []
