"""The vision networks in PyTorch, for training only.

`Eye` proposes boxes on the whole picture; `Look` classifies and corrects each of them; `Trace` returns the
outline of a thing as sixteen mask codes; `Reader` reads a sign. All are small convolutions with batch norms,
which are folded into them when they are saved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention

from nbvlm.demo.model.crops import CELLS, LETTERS
from nbvlm.demo.scenes import COLORS, KINDS
from nbvlm.demo.world.backgrounds import BACKGROUNDS

__all__ = ["CODES", "Eye", "Layers", "Look", "MaskCoder", "Reader", "Trace"]

CODES = 128
_DEPTH, _KEEP = 16, 0.98


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


class _Quantiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_embedding", torch.randn(CODES, _DEPTH))
        self.register_buffer("_ema_w", torch.randn(CODES, _DEPTH))
        self.register_buffer("_ema_cluster_size", torch.ones(CODES))

    def codes(self, vectors: Tensor) -> Tensor:
        return torch.cdist(vectors, self._embedding).argmin(1)

    @torch.no_grad()
    def update(self, vectors: Tensor, codes: Tensor) -> None:
        taken = F.one_hot(codes, CODES).float()
        self._ema_cluster_size.mul_(_KEEP).add_(taken.sum(0), alpha=1 - _KEEP)
        self._ema_w.mul_(_KEEP).add_(taken.T @ vectors, alpha=1 - _KEEP)
        idle = self._ema_cluster_size < 0.05
        if idle.any():
            chosen = vectors[torch.randint(len(vectors), (int(idle.sum()),))]
            self._ema_w[idle], self._ema_cluster_size[idle] = chosen, 1.0
        self._embedding.copy_(self._ema_w / self._ema_cluster_size[:, None])


class MaskCoder(nn.Module):
    """Encodes masks of 64 × 64 as sixteen codes, and decodes them."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), relu(), nn.Conv2d(8, 16, 4, 2, 1), relu(),
            nn.Conv2d(16, 32, 4, 2, 1), relu(), nn.Conv2d(32, 32, 4, 2, 1), relu(),
            _Residual(32), _Residual(32), nn.Conv2d(32, _DEPTH, 1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(_DEPTH, 32, 1), relu(), _Residual(32), _Residual(32),
            nn.ConvTranspose2d(32, 32, 4, 2, 1), relu(), nn.ConvTranspose2d(32, 16, 4, 2, 1), relu(),
            nn.ConvTranspose2d(16, 8, 4, 2, 1), relu(), nn.ConvTranspose2d(8, 4, 4, 2, 1), relu(),
            nn.Conv2d(4, 1, 1),
        )  # fmt: skip
        self._vq_vae = _Quantiser()

    def vectors(self, masks: Tensor) -> Tensor:
        """(N · 16) × depth of N × 64 × 64 masks in 0…1."""
        return self.encoder(2 * masks[:, None] - 1).permute(0, 2, 3, 1).flatten(0, 2)

    def codes(self, masks: Tensor) -> Tensor:
        """N × 16 codes of N × 64 × 64 masks in 0…1."""
        with torch.no_grad():
            return self._vq_vae.codes(self.vectors(masks)).reshape(len(masks), 16)

    def decode(self, vectors: Tensor) -> Tensor:
        """N × 64 × 64 rasters, above 0 inside, of (N · 16) × depth vectors."""
        return self.decoder(vectors.reshape(-1, 4, 4, _DEPTH).permute(0, 3, 1, 2))[:, 0]

    def loss(self, masks: Tensor, *, free: bool = False) -> Tensor:
        """Return the reconstruction error of masks; `free` bypasses the codebook, for the first steps."""
        vectors = self.vectors(masks)
        codes = self._vq_vae.codes(vectors.detach())
        nearest = self._vq_vae._embedding[codes].clone()  # noqa: SLF001 - the published name of the array
        if self.training:
            self._vq_vae.update(vectors.detach(), codes)
        kept = vectors if free else vectors + (nearest - vectors).detach()
        back = F.mse_loss(self.decode(kept), 2 * masks - 1)
        return back + 0.25 * F.mse_loss(vectors, nearest)


Shape = tuple[int, int, int, tuple[int, int], int]


class Layers(nn.Module):
    """Convolutions, each followed by a rectifier, its input added back where the shapes agree.

    Parameters
    ----------
    shapes
        Inputs, outputs, side of the kernel, steps down and across, and padding of each.
    """

    def __init__(self, *shapes: Shape) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, k, s, p, bias=False) for i, o, k, s, p in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, *_ in shapes)

    def forward(self, x: Tensor) -> Tensor:
        """B × inputs × H × W → B × outputs × H' × W'."""
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            y = F.relu(norm(convolve(x)))
            x = x + y if y.shape == x.shape else y
        return x


class Eye(nn.Module):
    """Proposes boxes on a picture of 128 × 128 pixels; finds its background, and whether it is a scene."""

    def __init__(self) -> None:
        super().__init__()
        two, one = (2, 2), (1, 1)
        self.near = Layers(
            (3, 24, 3, two, 1), (24, 48, 3, two, 1), (48, 48, 3, one, 1),
            (48, 96, 3, two, 1), (96, 96, 3, one, 1), (96, 96, 3, one, 1),
        )  # fmt: skip
        self.far = Layers((96, 128, 3, two, 1), (128, 128, 3, one, 1))
        self.back = nn.Linear(128, 96)
        self.last = Layers((96, 96, 3, one, 1))
        self.head = nn.Linear(96, 5)
        self.names = nn.Linear(96, len(KINDS) + len(COLORS))
        self.whole = nn.Linear(256, 1 + len(BACKGROUNDS))
        nn.init.constant_(self.head.bias, -2.0)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run on B × 3 × 128 × 128 in -1…1.

        Returns
        -------
        cells, names, whole
            B × 256 × 5 (whether a thing's middle is in the cell, distances to its four edges before
            `boxes`), B × 256 × (kinds + colours), used in training only, and B × (1 + grounds).
        """
        near = self.near(pixels)
        far = self.far(near)
        up = self.back(far.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        together = self.last(near + F.interpolate(up, scale_factor=2))
        cells = together.flatten(2).transpose(1, 2)
        pooled = torch.cat([far.mean((2, 3)), far.amax((2, 3))], 1)
        return self.head(cells), self.names(cells), self.whole(pooled)

    @staticmethod
    def boxes(cells: Tensor) -> Tensor:
        """Return the boxes of cells (x0, y0, x1, y1 in shares of the sides), B × 256 × 4."""
        at = (torch.arange(CELLS, device=cells.device) + 0.5) / CELLS
        y, x = torch.meshgrid(at, at, indexing="ij")
        middle = torch.stack([x, y], -1).reshape(1, -1, 2)
        reach = F.softplus(cells[..., 1:].float()) / 4
        return torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], -1)


class Look(nn.Module):
    """Classifies 48 × 48 pixels around a box: whether it contains a thing, its kind, colour and edges."""

    def __init__(self) -> None:
        super().__init__()
        two, one = (2, 2), (1, 1)
        self.layers = Layers(
            (3, 32, 3, two, 1), (32, 64, 3, two, 1), (64, 64, 3, one, 1), (64, 64, 3, one, 1),
            (64, 96, 3, two, 1), (96, 96, 3, one, 1), (96, 96, 3, one, 1),
        )  # fmt: skip
        self.squeeze = nn.Linear(96, 24)
        self.inner = nn.Linear(36 * 24 + 96, 192)
        self.out = nn.Linear(192, 5 + len(KINDS) + len(COLORS))

    def forward(self, crops: Tensor) -> Tensor:
        """N × 3 × 48 × 48 in -1…1 → N × (sure, four shifts of the edges, kinds, colours)."""
        x = self.layers(crops).permute(0, 2, 3, 1)
        places = F.relu(self.squeeze(x)).flatten(1)
        return self.out(F.relu(self.inner(torch.cat([places, x.mean((1, 2))], 1))))


class Trace(nn.Module):
    """Encodes the outline of the thing in the middle 32 × 32 of 48 × 48 pixels as 4 × 4 codes."""

    def __init__(self, codes: int = 128) -> None:
        super().__init__()
        two, one = (2, 2), (1, 1)
        self.layers = Layers(
            (3, 32, 3, two, 1), (32, 48, 3, two, 1), (48, 48, 3, one, 1),
            (48, 96, 3, two, 1), (96, 96, 3, one, 1), (96, 96, 3, one, 0),
        )  # fmt: skip
        self.out = nn.Linear(96, codes)

    def forward(self, crops: Tensor) -> Tensor:
        """N × 3 × 48 × 48 in -1…1 → N × 16 × codes."""
        return self.out(self.layers(crops).flatten(2).transpose(1, 2))


class Reader(nn.Module):
    """Reads the letters of a sign from left to right, for connectionist temporal classification."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers(
            (3, 32, 3, (2, 2), 1), (32, 48, 3, (2, 1), 1), (48, 64, 3, (2, 1), 1), (64, 64, 3, (1, 1), 1)
        )
        self.columns = nn.Linear(5 * 64, 96)
        self.beside = nn.Conv1d(96, 96, 3, padding=1)
        self.out = nn.Linear(96, 1 + LETTERS)

    def forward(self, crops: Tensor) -> Tensor:
        """N × 3 × 40 × 80 in -1…1 → N × 40 × (blank and letters)."""
        x = F.relu(self.columns(self.layers(crops).permute(0, 3, 2, 1).flatten(2)))
        x = x + F.relu(self.beside(x.transpose(1, 2)).transpose(1, 2))
        return self.out(x)
