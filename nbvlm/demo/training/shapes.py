"""The mask codebook's network in PyTorch: a small VQ-VAE in exactly the published layout.

Names and order of the layers are those of PaliGemma's ``vae-oid.npz``; the widths are a quarter. Its
codebook is learnt by moving averages (van den Oord et al. 2017, appendix A.1), and codes that nobody uses
begin anew at a vector of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention

__all__ = ["CODES", "Shapes"]

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
    def follow(self, vectors: Tensor, codes: Tensor) -> None:
        taken = F.one_hot(codes, CODES).float()
        self._ema_cluster_size.mul_(_KEEP).add_(taken.sum(0), alpha=1 - _KEEP)
        self._ema_w.mul_(_KEEP).add_(taken.T @ vectors, alpha=1 - _KEEP)
        idle = self._ema_cluster_size < 0.05
        if idle.any():
            chosen = vectors[torch.randint(len(vectors), (int(idle.sum()),))]
            self._ema_w[idle], self._ema_cluster_size[idle] = chosen, 1.0
        self._embedding.copy_(self._ema_w / self._ema_cluster_size[:, None])


class Shapes(nn.Module):
    """Masks of 64 × 64 to sixteen codes, and back."""

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
        """How far masks come back from what went in; `free` leaves out the codebook, to begin with."""
        vectors = self.vectors(masks)
        codes = self._vq_vae.codes(vectors.detach())
        nearest = self._vq_vae._embedding[codes].clone()  # noqa: SLF001 - the published name of the array
        if self.training:
            self._vq_vae.follow(vectors.detach(), codes)
        kept = vectors if free else vectors + (nearest - vectors).detach()
        back = F.mse_loss(self.decode(kept), 2 * masks - 1)
        return back + 0.25 * F.mse_loss(vectors, nearest)
