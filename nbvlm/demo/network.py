"""The embedded model's network, in PyTorch: used to train it, not to run it.

A small vision-language model in PaliGemma's form: strided convolutions turn a 128 × 128 picture into 8 × 8
tokens, an encoder lets them look at each other, and a decoder reads picture tokens and prompt as a prefix
and writes the answer as a suffix. A dense head tells, for each of the 64 cells, whether a thing's middle is
there and which box, kind and colour it has; Fourier features of the told boxes, and the embeddings of the
words for the told kinds and colours, are added to the tokens.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention

from nbvlm.demo import vocabulary as v
from nbvlm.demo.scenes import COLORS, KINDS


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the network: width, heads, layers, channels of the convolutions, longest text."""

    width: int = 128
    heads: int = 4
    encoder: int = 2
    decoder: int = 3
    stem: tuple[int, int] = (48, 96)
    text: int = 96
    pixels: int = 128
    cells: int = 8

    def as_dict(self) -> dict[str, object]:
        """The sizes as plain values, for the weights file."""
        return asdict(self)


def fourier(values: Tensor) -> Tensor:
    """Fourier features of numbers from 0 to 1, (…) → (…, 41): as `nbvlm.demo.layers.fourier`."""
    periods = 2.0 ** (torch.arange(20, dtype=values.dtype, device=values.device) / 2 - 2.5)
    angle = values[..., None] * periods * math.tau
    return torch.cat([torch.ones_like(angle[..., :1]), torch.sin(angle), torch.cos(angle)], -1)


FEATURES = 41


class Attention(nn.Module):
    """Multi-head attention whose queries see picture tokens and text tokens in one softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.pair = nn.Linear(width, 2 * width)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, W) → (B, heads, T, W / heads)."""
        b, t, w = x.shape
        return x.reshape(b, t, self.heads, w // self.heads).transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens."""
        k, u = self.pair(x).chunk(2, -1)
        return self.split(k), self.split(u)

    def forward(self, x: Tensor, picture: tuple[Tensor, Tensor] | None, mask: Tensor | None) -> Tensor:
        """Attend from x (B × T × W) to itself and to the picture's keys and values."""
        q = self.split(self.query(x)) / math.sqrt(x.shape[-1] // self.heads)
        k, u = self.keys_values(x)
        scores = q @ k.transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -1e9)
        mixed = scores.softmax(-1) @ u if picture is None else self._with_picture(q, scores, u, picture)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))

    def _with_picture(self, q: Tensor, scores: Tensor, u: Tensor, picture: tuple[Tensor, Tensor]) -> Tensor:
        keys, values = picture
        n, share = keys.shape[0], q.shape[0] // keys.shape[0]
        b, h, t, d = q.shape
        together = q.reshape(n, share, h, t, d).transpose(1, 2).reshape(n, h, share * t, d)
        seen = (
            (together @ keys.transpose(-1, -2))
            .reshape(n, h, share, t, -1)
            .transpose(1, 2)
            .reshape(b, h, t, -1)
        )
        weights = torch.cat([seen, scores], -1).softmax(-1)
        to_picture, to_text = weights.split([keys.shape[2], t], -1)
        back = to_picture.reshape(n, share, h, t, -1).transpose(1, 2).reshape(n, h, share * t, -1) @ values
        return to_text @ u + back.reshape(n, h, share, t, d).transpose(1, 2).reshape(b, h, t, d)


class Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Tensor, picture: tuple[Tensor, Tensor] | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """One layer over B × T × W tokens."""
        x = x + self.attention(self.norm1(x), picture, mask)
        return x + self.down(F.relu(self.up(self.norm2(x))).square())


class Stem(nn.Module):
    """Convolutions from 128 × 128 pixels to 8 × 8 cells; their batch norms are folded when saved."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        a, b = sizes.stem
        shapes = (
            (3, a, 4, 4, 0),
            (a, b, 3, 2, 1),
            (b, b, 3, 1, 1),
            (b, sizes.width, 3, 2, 1),
            (sizes.width, sizes.width, 3, 1, 1),
        )
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, k, s, p, bias=False) for i, o, k, s, p in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, *_ in shapes)

    def forward(self, pixels: Tensor) -> Tensor:
        """B × 3 × 128 × 128 in -1…1 → B × 64 × W."""
        x = pixels
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            y = F.relu(norm(convolve(x)))
            x = x + y if y.shape == x.shape else y
        return x.flatten(2).transpose(1, 2)


class Network(nn.Module):
    """The whole model.

    Parameters
    ----------
    sizes
        Its widths and depths.
    """

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.sizes = s = sizes or Sizes()
        self.stem = Stem(s)
        self.place = nn.Parameter(torch.randn(s.cells**2, s.width) * 0.2)
        self.encoder = nn.ModuleList(Block(s.width, s.heads) for _ in range(s.encoder))
        self.dense = nn.Linear(s.width, 5 + len(KINDS) + len(COLORS))
        self.boxes = nn.Linear(4 * FEATURES, s.width)
        self.names = nn.Linear(s.width, s.width)
        self.picture_norm = nn.LayerNorm(s.width)
        self.words = nn.Embedding(len(v.WORDS), s.width)
        self.locs_in = nn.Linear(FEATURES, s.width, bias=False)
        self.position = nn.Parameter(torch.randn(s.text, s.width) * 0.2)
        self.decoder = nn.ModuleList(Block(s.width, s.heads) for _ in range(s.decoder))
        self.final_norm = nn.LayerNorm(s.width)
        self.words_out = nn.Linear(s.width, len(v.WORDS))
        self.locs_out = nn.Linear(s.width, FEATURES)
        self._begin()
        self.register_buffer("bins", fourier(torch.arange(v.BINS) / (v.BINS - 1)), persistent=False)

    @classmethod
    def of(cls, sizes: dict[str, Any], arrays: dict[str, Any]) -> Network:
        """Rebuild a trained network from a weights file's contents; see `nbvlm.demo.weights.load`."""
        network = cls(Sizes(**{**sizes, "stem": tuple(sizes["stem"])}))
        state = network.state_dict()
        for name, value in arrays.items():
            _, n, part = name.split(".", 2) if name.startswith("stem.") else ("", "", "")
            target = {"weight": f"stem.convolutions.{n}.weight", "bias": f"stem.norms.{n}.bias"}.get(
                part, name
            )
            if target in state:
                state[target] = torch.tensor(value)
        network.load_state_dict(state)
        for norm in network.stem.norms:
            norm.eps = 0.0  # the weights file holds convolutions with their norms folded in
        return network.eval()

    def _begin(self) -> None:
        """Begin where like looks at like: a word at the cells that are told to be what it says."""
        nn.init.normal_(self.words.weight, std=0.4)
        self.names.weight.data = 2 * torch.eye(self.sizes.width)
        for block in self.decoder:
            attention = block.attention
            attention.pair.weight.data[: self.sizes.width] = attention.query.weight.data

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Picture tokens (B × 64 × W), and what is told of each cell (B × 64 × 5 + kinds + colours)."""
        x = self.stem(pixels) + self.place
        for block in self.encoder:
            x = block(x)
        told = self._tell(x)
        there, boxes, named = self._features(told.detach())
        return self.picture_norm(x + there * (self.boxes(boxes) + self.names(named))), told

    def _features(self, told: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        there, box, kind, color = told.split([1, 4, len(KINDS), len(COLORS)], -1)
        words = self.words.weight[v.FIRST_KIND : v.FIRST_KIND + len(KINDS) + len(COLORS)]
        named = torch.cat([kind.softmax(-1), color.softmax(-1)], -1) @ words
        return there.sigmoid(), fourier(box.sigmoid()).flatten(-2), named

    def _tell(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # a box needs more than eight bits
            return self.dense(x.float())

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings of tokens, words and locations alike."""
        word = self.words(tokens.clamp(max=v.FIRST_LOC - 1))
        place = self.locs_in(self.bins)[(tokens - v.FIRST_LOC).clamp(min=0)]
        return torch.where((tokens >= v.FIRST_LOC)[..., None], place, word)

    def read(self, seen: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Decoder states (N × T × W) of N texts; mask (N × T × T) is True where a token may look."""
        x = self.embed(tokens) + self.position[: tokens.shape[1]]
        for block in self.decoder:
            x = block(x, block.attention.keys_values(seen), mask)
        return self.final_norm(x)

    def logits(self, states: Tensor) -> Tensor:
        """Scores of the next token, words first, then the 1,024 locations."""
        return torch.cat([self.words_out(states), self.locs_out(states) @ self.bins.T], -1)
