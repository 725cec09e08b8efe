"""The embedded model in NumPy: answers a prompt about a picture with tokens."""

from __future__ import annotations

from nbvlm.demo.model.layers import one_thread, sigmoid, softmax
from nbvlm.demo.model.model import FAMILIAR, Model, Token, load, pick, pieces_until
from nbvlm.demo.model.prompt_reader import QUESTION_WORDS, Reader

__all__ = [
    "FAMILIAR",
    "QUESTION_WORDS",
    "Model",
    "Reader",
    "Token",
    "load",
    "one_thread",
    "pick",
    "pieces_until",
    "sigmoid",
    "softmax",
]
