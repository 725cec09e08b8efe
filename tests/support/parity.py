"""Rebuild the trained networks from a weights file, to compare them with the NumPy model."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import torch

from training.language import Decoder, Sizes
from training.language_data import LanguageExample, Texts, texts_of
from training.train_vision import VisionNetworks

if TYPE_CHECKING:
    from nbvlm.demo.model.prompt_reader import ParsedPrompt
    from nbvlm.demo.model.vision import Observation

__all__ = ["networks", "texts"]


def networks(sizes: dict[str, Any], arrays: dict[str, Any]) -> tuple[VisionNetworks, Decoder]:
    """Return the networks of a weights file's contents; see `nbvlm.demo.model.weights.load`."""
    sight, speaker = VisionNetworks(), Decoder(Sizes(**sizes))
    _fill(speaker, "speaker.", arrays)
    for name, part in sight.named_children():
        _fill(part, f"{name}.", arrays)
    return sight.eval(), speaker.eval()


def _fill(part: torch.nn.Module, prefix: str, arrays: dict[str, Any]) -> None:
    state = part.state_dict()
    for name in state:
        key = prefix + name.replace(".convolutions.", ".")
        if ".norms." in name:
            key = prefix + name.replace(".norms.", ".") if name.endswith(".bias") else ""
        if key in arrays:
            state[name] = torch.tensor(arrays[key])
    part.load_state_dict(state)
    for module in part.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0  # the weights file holds convolutions with their norms folded in


def texts(seen: Observation, asked: ParsedPrompt) -> Texts:
    """Return a prompt without an answer, as arrays."""
    return texts_of([LanguageExample(seen, asked.words, asked.box, ())], Random(0))
