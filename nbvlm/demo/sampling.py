"""How a token is chosen: temperature and nucleus sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["chances", "pick"]


def chances(scores: NDArray[np.float32], temperature: float, top_p: float) -> NDArray[np.float64]:
    """Probabilities of the tokens that may be chosen.

    Parameters
    ----------
    scores
        One log-odds a token.
    temperature
        Above 0; the scores are divided by it.
    top_p
        In (0, 1]; only the fewest likeliest tokens that together have at least this probability are kept
        (nucleus sampling, Holtzman et al. 2020).

    Returns
    -------
    numpy.ndarray
        One probability a token; they add up to 1, and are 0 for those left out.
    """
    shifted = (scores.astype(np.float64) - scores.max()) / temperature
    likely = np.exp(shifted)
    likely /= likely.sum()
    order = np.argsort(-likely, kind="stable")
    before = np.cumsum(likely[order]) - likely[order]
    likely[order[before >= top_p]] = 0.0
    kept: NDArray[np.float64] = likely / likely.sum()
    return kept


def pick(scores: NDArray[np.float32], temperature: float, top_p: float, chance: np.random.Generator) -> int:
    """Choose a token; see `chances`."""
    kept = chances(scores, temperature, top_p)
    possible = np.flatnonzero(kept)
    return int(possible[0]) if len(possible) == 1 else int(chance.choice(possible, p=kept[possible]))
