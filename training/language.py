"""The decoder in PyTorch, for training only.

A small transformer in PaliGemma's form: the tokens of the regions and of the prompt are a prefix whose tokens
all attend to each other; the answer is a suffix. At every token it also points at the region of the next
token (pointer networks, Vinyals et al. 2015), which is an input of the next step: an edge of a box, a mask
code or the text of a sign is copied from that region.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention

from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.decoder import BOX_FEATURES, positions
from nbvlm.demo.model.vision import MOST_REGIONS
from nbvlm.demo.scenes import BACKGROUNDS, COLORS, KINDS
from training import language_data
from training.trainer import TrainingRun, fit

if TYPE_CHECKING:
    from torch import Tensor

    from training.language_data import Texts

__all__ = ["Decoder", "Sizes", "losses", "speaker_of"]

SEEN = 1 + MOST_REGIONS
SMOOTH = 0.01


@dataclass(frozen=True, slots=True)
class Sizes:
    """Width, heads and layers of the decoder."""

    width: int = 96
    heads: int = 4
    layers: int = 3

    def as_dict(self) -> dict[str, int]:
        """Return the sizes as plain values, for the weights file."""
        return asdict(self)


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.pair = nn.Linear(width, 2 * width)
        # At the start, similar tokens attend to each other.
        self.pair.weight.data[:width] = self.query.weight.data

    def _split(self, x: Tensor) -> Tensor:
        b, t, w_ = x.shape
        return x.reshape(b, t, self.heads, w_ // self.heads).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """B × T × W → the same; mask (B × T × T) is True where a token may attend."""
        keys, values = (self._split(part) for part in self.pair(x).chunk(2, -1))
        query = self._split(self.query(x)) / math.sqrt(keys.shape[-1])
        scores = (query @ keys.transpose(-1, -2)).masked_fill(~mask[:, None], -1e4)
        mixed = scores.softmax(-1) @ values
        return self.out(mixed.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """B × T × W → the same."""
        x = x + self.attention(self.norm1(x), mask)
        return x + self.down(F.relu(self.up(self.norm2(x))).square())


class Decoder(nn.Module):
    """The decoder.

    Parameters
    ----------
    sizes
        Its width and depth.
    """

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.sizes = s = sizes or Sizes()
        self.words = nn.Embedding(w.SIZE, s.width)
        self.boxes = nn.Linear(BOX_FEATURES, s.width)
        self.names = nn.Linear(s.width, s.width)
        self.ground = nn.Linear(len(BACKGROUNDS), s.width)
        self.marks = nn.Linear(2, s.width)
        self.rank = nn.Parameter(torch.randn(SEEN, s.width) * 0.2)
        self.run = nn.Parameter(torch.randn(16, s.width) * 0.2)
        self.fed = nn.Linear(s.width, s.width)
        self.blocks = nn.ModuleList(Block(s.width, s.heads) for _ in range(s.layers))
        self.final_norm = nn.LayerNorm(s.width)
        self.out = nn.Linear(s.width, w.SIZE)
        self.point, self.target = nn.Linear(s.width, s.width), nn.Linear(s.width, s.width)
        self.nowhere = nn.Parameter(torch.randn(s.width) * 0.2)
        self.register_buffer("position", torch.from_numpy(positions(s.width)), persistent=False)
        nn.init.normal_(self.words.weight, std=0.4)
        self.names.weight.data = 2 * torch.eye(s.width)

    def regions(self, seen: Tensor, boxes: Tensor) -> Tensor:
        """Tokens N × 10 × W of regions: N × 10 × (kinds, colours, sure, text) and their box features."""
        beliefs, marks = seen.split([len(KINDS) + len(COLORS), 2], -1)
        embeddings = self.words.weight[w.KINDS_AT : w.KINDS_AT + len(KINDS) + len(COLORS)]
        return self.names(beliefs @ embeddings) + self.boxes(boxes) + self.marks(marks) + self.rank[1:]

    def forward(self, texts: Texts) -> tuple[Tensor, Tensor]:
        """Return scores of the next token (N × T × words) and of its region (N × T × 11, no region first)."""
        regions = self.regions(texts.seen, texts.boxes)
        scene = (self.ground(texts.background) + self.rank[0])[:, None]
        x = torch.cat([scene, regions, self._embed(texts, regions)], 1)
        mask = self._mask(texts)
        for block in self.blocks:
            x = block(x, mask)
        x = self.final_norm(x[:, SEEN:])
        targets = torch.cat([self.nowhere.expand(len(x), 1, -1), self.target(regions)], 1)
        aimed = self.point(x) @ targets.transpose(1, 2) / math.sqrt(x.shape[-1])
        there = torch.arange(SEEN) <= texts.count[:, None]
        return self.out(x), aimed.masked_fill(~there[:, None], -1e9)

    def _embed(self, texts: Texts, regions: Tensor) -> Tensor:
        x = self.words(texts.tokens) + self.position[texts.places]
        x = x + torch.where((texts.runs >= 0)[..., None], self.run[texts.runs.clamp(min=0)], 0.0)
        at = texts.regions.clamp(min=0)[..., None].expand(-1, -1, regions.shape[-1])
        x = x + torch.where((texts.regions >= 0)[..., None], self.fed(regions.gather(1, at)), 0.0)
        return x + torch.where((texts.tokens == w.BOX)[..., None], self.boxes(texts.asked)[:, None], 0.0)

    def _mask(self, texts: Texts) -> Tensor:
        length = SEEN + texts.tokens.shape[1]
        at = torch.arange(length)
        prefix = (SEEN + texts.prefix)[:, None, None]
        there = (at <= texts.count[:, None]) | (at >= SEEN)
        return ((at[None, None] < prefix) & there[:, None]) | (at[None] <= at[:, None])[None] & there[:, None]


def losses(speaker: Decoder, texts: Texts) -> tuple[Tensor, Tensor]:
    """Return the losses of words and of pointing, in nats a token; tokens of short answers weigh more."""
    with torch.autocast("cpu", torch.bfloat16):
        scores, aimed = speaker(texts)
    at = torch.arange(texts.tokens.shape[1] - 1)
    asked = (at >= texts.prefix[:, None] - 1) & (at < texts.length[:, None] - 1)
    # After the first edge or code of a run the rest is copied: frequent, and quickly learnt.
    counted = torch.where(texts.runs[:, 1:] > 0, 0.1, 1.0)
    weight = (counted / (counted * asked).sum(1, keepdim=True).sqrt())[asked]
    words = F.cross_entropy(
        scores[:, :-1][asked].float(), texts.tokens[:, 1:][asked], reduction="none", label_smoothing=SMOOTH
    )
    points = F.cross_entropy(aimed[:, :-1][asked].float(), texts.regions[:, 1:][asked] + 1, reduction="none")
    return (words * weight).sum() / weight.sum(), (points * weight).sum() / weight.sum()


def speaker_of(run: TrainingRun, sizes: Sizes | None = None, *, stop_after: int | None = None) -> Decoder:
    """Train the decoder; a second process makes the examples, a few batches ahead."""
    torch.manual_seed(run.seed + 2)
    network = Decoder(sizes)
    with ProcessPoolExecutor(1) as pool:
        waiting = {}

        def loss(step: int) -> dict[str, Tensor]:
            for number in range(step, min(run.steps, step + 8)):
                if number not in waiting:
                    seed = run.seed * 1_000_000_009 + number
                    waiting[number] = pool.submit(language_data.batch, seed, run.batch)
            groups = {name: losses(network, group) for name, group in waiting.pop(step).result().items()}
            words = {name: one for name, (one, _) in groups.items()}
            return words | {"pointing": torch.stack([two for _, two in groups.values()]).sum()}

        fit(network, loss, run, rate=2e-3, stop_after=stop_after)
    return network.eval()
