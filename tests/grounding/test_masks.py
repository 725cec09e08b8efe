"""Codes to rasters to masks: against plain loops, against PyTorch, against published masks."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.mask_weights import REAL, SMALL, naive_decode, random_weights

from nbvlm import Detections, Error, parse
from nbvlm.grounding.masks.codebooks import Codebook, codebook, paste, paste_crop

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "golden" / "masks.json").read_text(encoding="utf-8")
)
CODES = np.random.default_rng(5).integers(0, 128, (3, 16))


@pytest.fixture(scope="module")
def weights() -> Any:
    return random_weights(1, **REAL)


@pytest.fixture(scope="module")
def book(weights: Any) -> Codebook:
    return Codebook(weights)


def close(got: Any, expected: Any) -> bool:
    return np.abs(got - expected).max() < 2e-5 * np.abs(expected).max()


def test_random_weights_of_the_real_shapes_agree_with_plain_loops(weights: Any, book: Codebook) -> None:
    rasters = book.decode(CODES)
    assert rasters.dtype == np.float32
    assert rasters.shape == (3, 64, 64)
    assert (book.values, book.side) == (128, 64)
    for codes, raster in zip(CODES, rasters, strict=True):
        assert close(raster, naive_decode(weights, codes))


@pytest.mark.parametrize("blocks", [0, 1, 3])
@pytest.mark.parametrize("sizes", [SMALL, SMALL | {"grown": (7,)}, SMALL | {"grown": (3, 4, 5, 6, 2)}])
def test_sizes_are_those_of_the_file(sizes: Any, blocks: int, tmp_path: Path) -> None:
    weights = random_weights(2, **sizes, blocks=blocks)
    np.savez(tmp_path / "small.npz", **weights, **{"encoder.0.weight": np.zeros(3)})
    small = Codebook.load(tmp_path / "small.npz")
    codes = CODES[:2] % sizes["codes"]
    assert small.values == sizes["codes"]
    assert small.side == 4 * 2 ** len(sizes["grown"])
    for row, raster in zip(codes, small.decode(codes), strict=True):
        assert close(raster, naive_decode(weights, row))


def test_half_precision_files_are_read(tmp_path: Path) -> None:
    weights = {name: array.astype(np.float16) for name, array in random_weights(3, **SMALL).items()}
    np.savez_compressed(tmp_path / "half.npz", **weights)
    raster = Codebook.load(tmp_path / "half.npz").decode(CODES[:1] % 11)[0]
    assert raster.dtype == np.float32
    assert close(raster, naive_decode(weights, CODES[0] % 11))


@pytest.mark.heavy
def test_random_weights_agree_with_pytorch(weights: Any, book: Codebook) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[train]'")
    network = torch_decoder(torch)
    state = {name.removeprefix("decoder."): torch.from_numpy(array) for name, array in weights.items()}
    vectors = state.pop("_vq_vae._embedding")
    network.load_state_dict(state)
    codes = np.random.default_rng(6).integers(0, 128, (40, 16))
    grid = vectors[torch.from_numpy(codes)].reshape(-1, 4, 4, 512).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(grid)[:, 0].numpy()
    assert close(book.decode(codes), expected)


def torch_decoder(torch: Any) -> Any:
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            near = {"kernel_size": 3, "padding": 1}
            self.net = nn.Sequential(
                nn.Conv2d(128, 128, **near),
                nn.ReLU(),
                nn.Conv2d(128, 128, **near),
                nn.ReLU(),
                nn.Conv2d(128, 128, 1),
            )

        def forward(self, grid: Any) -> Any:
            return grid + self.net(grid)

    layers = [nn.Conv2d(512, 128, 1), nn.ReLU(), Block(), Block()]
    for inputs, outputs in ((128, 128), (128, 64), (64, 32), (32, 16)):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, 1, 1)).eval()


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_a_mask_is_the_same_alone_and_in_a_batch(book: Codebook, count: int) -> None:
    codes = np.random.default_rng(count).integers(0, 128, (count, 16))
    together = book.decode(codes)
    assert together.shape == (count, 64, 64)
    for row in {0, count // 2, count - 1}:
        assert close(book.decode(codes[row : row + 1])[0], together[row])


def test_no_codes_give_no_rasters(book: Codebook) -> None:
    assert book.decode(np.empty((0, 16), int)).shape == (0, 64, 64)
    assert book.decode([]).shape == (0, 64, 64)


@pytest.mark.parametrize(
    "codes",
    [CODES[0], CODES[:, :15], CODES * 1.0, CODES + 128, CODES - 128],
    ids=["one row", "fifteen", "fractions", "too high", "negative"],
)
def test_codes_that_cannot_be_are_refused(book: Codebook, codes: Any) -> None:
    with pytest.raises(ValueError, match=r"[Cc]ode"):
        book.decode(codes)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_published_masks(name: str) -> None:
    given = os.environ.get("NBVLM_VAE_WEIGHTS")
    if not given:
        pytest.skip("NBVLM_VAE_WEIGHTS names no vae-oid.npz: the published masks cannot be decoded")
    raster = Codebook.load(given).decode([GOLDEN[name]["codes"]])[0]
    bits = [[int(bit) for bit in f"{int(row, 16):064b}"] for row in GOLDEN[name]["rows_hex"]]
    ours, theirs = raster > 0, np.array(bits, dtype=bool)
    assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.95


def test_the_weights_named_by_hand_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **random_weights(4, **SMALL))
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", str(tmp_path / "mine.npz"))
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._loaded", {})
    assert codebook().values == 11
    assert codebook("vae-oid") is codebook()
    with pytest.raises(ValueError, match="'vae-oid'"):
        codebook("vae-old")


def test_codes_that_a_named_codebook_lacks_are_no_mask(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.savez(tmp_path / "mine.npz", **random_weights(4, **SMALL))
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", str(tmp_path / "mine.npz"))
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._loaded", {})
    box = "<loc0000><loc0000><loc1023><loc1023>"
    text = f"{box}{'<seg010>' * 16} cat ; {box}{'<seg011>' * 16} dog"
    found = parse(text, (8, 8), codebook="vae-oid")
    assert [mask is None for mask in found.masks] == [False, True]
    assert found[1].mask is None
    assert found[1].codes == (11,) * 16


def test_a_variable_that_names_no_file_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", str(tmp_path / "gone.npz"))
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._loaded", {})
    with pytest.raises(Error, match=r"NBVLM_VAE_WEIGHTS names .*gone\.npz, which is not a file"):
        codebook()


BROKEN = {
    "missing": None,
    "not an archive": b"<html>not found</html>",
    "empty": b"",
    "another archive": {"a": np.zeros(3)},
    "an array gone": {"decoder.0.bias": None},
    "no codes": {"_vq_vae._embedding": None},
    "another kernel": {"decoder.4.weight": np.zeros((8, 12, 5, 5))},
    "another order": {"decoder.9.weight": np.zeros((2, 2, 4, 4)), "decoder.9.bias": np.zeros(2)},
    "widths that do not fit": {"decoder.2.net.0.weight": np.zeros((8, 9, 3, 3))},
    "codes of another width": {"_vq_vae._embedding": np.zeros((11, 7))},
    "no numbers": {"decoder.0.bias": np.array(["a"] * 8)},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_files_that_are_no_codebook_are_refused_by_name(broken: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    elif broken is not None:
        whole = random_weights(2, **SMALL) | broken if "a" not in broken else broken
        np.savez(path, **{name: array for name, array in whole.items() if array is not None})
    with pytest.raises(Error, match=r"broken\.npz cannot be used as a codebook"):
        Codebook.load(path)


def test_a_codebook_survives_a_pickle_and_shows_its_sizes(book: Codebook) -> None:
    copy = pickle.loads(pickle.dumps(book))
    assert np.array_equal(copy.decode(CODES), book.decode(CODES))
    assert repr(book) == "<Codebook 128 codes, rasters of 64×64>"


def raster(seed: int = 0) -> Any:
    small = np.random.default_rng(seed).standard_normal((8, 8)).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC))


BOXES = [
    (10.9, 20.2, 90.7, 75.99),
    (0.0, 0.0, 160.0, 120.0),
    (3.2, 4.9, 5.1, 5.9),
    (40.0, 40.0, 50.0, 119.0),
]


@pytest.mark.parametrize("box", BOXES)
def test_a_mask_is_resized_as_floats_to_whole_pixels_and_then_cut_at_zero(box: Any) -> None:
    mask = paste(raster(), box, (160, 120))
    x0, y0, x1, y1 = map(int, box)
    inside = np.asarray(Image.fromarray(raster()).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)) > 0.0
    expected = np.zeros((120, 160), bool)
    expected[y0:y1, x0:x1] = inside
    assert mask.dtype == bool
    assert np.array_equal(mask, expected)


def test_bilinear_values_are_those_of_the_formula() -> None:
    width, height = 101, 77
    mask = paste(raster(2), (0, 0, width, height), (width, height))
    across = np.clip((np.arange(width) + 0.5) * 64 / width - 0.5, 0, 63)
    down = np.clip((np.arange(height) + 0.5) * 64 / height - 0.5, 0, 63)
    grid = raster(2).astype(float)
    left, above = np.floor(across).astype(int), np.floor(down).astype(int)
    right, below = np.minimum(left + 1, 63), np.minimum(above + 1, 63)
    rows = grid[above] * (1 - (down - above))[:, None] + grid[below] * (down - above)[:, None]
    values = rows[:, left] * (1 - (across - left)) + rows[:, right] * (across - left)
    certain = np.abs(values) > 1e-5
    assert np.array_equal(mask[certain], (values > 0)[certain])
    assert certain.mean() > 0.99


@pytest.mark.parametrize("box", BOXES)
def test_the_soft_variant_keeps_256_steps_and_no_threshold(box: Any) -> None:
    soft = paste(raster(), box, (160, 120), soft=True)
    x0, y0, x1, y1 = map(round, box)
    steps = (np.clip(raster() * 0.5 + 0.5, 0, 1) * 255).astype(np.uint8)
    expected = np.zeros((120, 160), np.float32)
    expected[y0:y1, x0:x1] = np.asarray(Image.fromarray(steps).resize((x1 - x0, y1 - y0))) / np.float32(255)
    assert soft.dtype == np.float32
    assert np.array_equal(soft, expected)


@pytest.mark.parametrize(
    "box", [(5.0, 5.0, 5.9, 9.0), (9.0, 9.0, 3.0, 3.0), (200.0, 5.0, 300.0, 9.0), (-9.0, 0.0, -1.0, 9.0)]
)
@pytest.mark.parametrize("soft", [False, True])
def test_a_box_that_covers_no_pixel_gives_an_empty_mask(box: Any, soft: bool) -> None:
    mask = paste(np.ones((64, 64), np.float32), box, (160, 120), soft=soft)
    assert mask.shape == (120, 160)
    # The soft variant rounds: the first box then covers one column.
    assert mask.sum() == (4 if soft and box[2] == 5.9 else 0)


def test_what_lies_outside_the_picture_is_cut_off_and_the_rest_stays_where_it_was() -> None:
    box, wide = (-30.0, -20.0, 90.0, 70.0), (30.0, 30.0, 150.0, 120.0)
    inside = paste(raster(), box, (50, 40))
    whole = paste(raster(), wide, (200, 200))
    assert np.array_equal(inside, whole[50:90, 60:110])


def test_a_huge_box_costs_no_more_than_the_picture() -> None:
    assert paste(np.ones((64, 64), np.float32), (-1e9, -1e9, 1e9, 1e9), (30, 20)).all()


def test_a_patch_is_the_part_that_can_be_true() -> None:
    part = paste_crop(raster(), BOXES[0], (160, 120))
    assert (part.x, part.y, part.pixels.shape) == (10, 20, (55, 80))
    assert np.array_equal(part.spread((160, 120)), paste(raster(), BOXES[0], (160, 120)))


def test_an_answer_with_a_codebook_has_masks(book: Codebook) -> None:
    codes = [int(code) for code in CODES[0]]
    text = "<loc0100><loc0200><loc0500><loc0800>" + "".join(f"<seg{code:03d}>" for code in codes) + " cow"
    found = parse(text, (160, 120), codebook=book)
    assert found.codes == (tuple(codes),)
    assert np.array_equal(found.masks[0], paste(book.decode([codes])[0], found[0].box, (160, 120)))
    assert found == parse(text, (160, 120))


def test_a_code_beyond_a_smaller_codebook_is_a_problem_and_not_an_exception() -> None:
    small = Codebook(random_weights(2, **SMALL))
    found = parse(
        "<loc0100><loc0200><loc0500><loc0800>" + "<seg010>" * 15 + "<seg011>", (160, 120), codebook=small
    )
    assert found == Detections(found.xyxy, ("",), (160, 120))
