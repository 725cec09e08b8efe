"""A model in this process beside a plain loop of transformers: first token, tokens a second, batches.

    python bench/local.py [--model tiny|3b] [--rounds 5] [--tokens 64]

The model is a PaliGemma with random weights, made from its configuration: tiny, or as large as PaliGemma 2
3B. The plain loop is `model.generate` in a thread with a `TextIteratorStreamer`. Both run in turns; ratios
are of medians over rounds. Gates: tokens a second at least 0.97 of the plain loop; on a GPU eight questions
at once at least three times the tokens a second of single ones. Without PyTorch and transformers nothing is
measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "local")]
SINGLE, TOGETHER, AT_ONCE = 0.97, 3.0, 8
PROMPT = "detect cat ; dog"

LARGE: dict[str, Any] = {
    "model_type": "gemma2",
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
}


def build(size: str, device: str, dtype: Any) -> tuple[Any, Any]:
    """Make network and processor; the large one is never written to disk."""
    import tiny_models
    import torch
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        saved = tiny_models.paligemma(Path(folder) / "paligemma", size=224 if size == "3b" else 32)
        processor = transformers.AutoProcessor.from_pretrained(saved)
        if size == "tiny":
            network = transformers.AutoModelForImageTextToText.from_pretrained(saved, dtype=dtype)
            return network.to(device).eval(), processor
        config = transformers.AutoConfig.from_pretrained(saved)
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "patch_size": 16,
        "image_size": 224,
        "projection_dim": LARGE["hidden_size"],
    }
    words = config.text_config.vocab_size
    text = LARGE | {"vocab_size": words, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    config = transformers.PaliGemmaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=processor.image_token_id,
        projection_dim=LARGE["hidden_size"],
        hidden_size=LARGE["hidden_size"],
        vocab_size=words,
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            network = transformers.PaliGemmaForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(default)
    return network.eval(), processor


def plain(network: Any, processor: Any, image: Any, tokens: int) -> tuple[float, float]:
    """Seconds to the first text and to the last, with the library alone."""
    import transformers

    start = time.perf_counter()
    inputs = processor(text=[f"<image>{PROMPT}"], images=[image], return_tensors="pt")
    inputs.pop("labels", None)
    inputs = {
        name: value.to(network.device, network.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }
    streamer = transformers.TextIteratorStreamer(processor.tokenizer, skip_prompt=True, timeout=600)
    options = {**inputs, "max_new_tokens": tokens, "do_sample": False, "streamer": streamer}
    thread = threading.Thread(target=network.generate, kwargs=options)
    thread.start()
    first = None
    for _ in streamer:
        first = first or time.perf_counter() - start
    thread.join()
    return first or 0.0, time.perf_counter() - start


def ours(generation: Any, image: Any, tokens: int) -> tuple[float, float]:
    """Seconds to the first token and to the last, as the service reads them."""
    start, first = time.perf_counter(), None
    for _ in generation.stream(image, PROMPT, temperature=0.0, top_p=1.0, max_tokens=tokens):
        first = first or time.perf_counter() - start
    return first or 0.0, time.perf_counter() - start


def together(generation: Any, images: list[Any], tokens: int) -> float:
    """Seconds for several questions that are asked at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(images)) as pool:
        list(pool.map(lambda image: ours(generation, image, tokens), images))
    return time.perf_counter() - start


def measure(options: argparse.Namespace) -> bool:
    """Print the table; return whether all gates hold."""
    import torch
    from PIL import Image

    from nbvlm.local.generation import Generation

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" or options.model == "3b" else torch.float32
    network, processor = build(options.model, device, dtype)
    network.generation_config.eos_token_id = None  # random weights may end at once
    title = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    weights = sum(weight.numel() for weight in network.parameters())
    print(f"{title}, {weights / 1e6:.1f} million weights, {dtype}, {options.tokens} tokens")
    generation = Generation(network, processor, "bench")
    generation._ends = frozenset()
    images = [Image.effect_noise((640, 480), 10 + n).convert("RGB") for n in range(AT_ONCE)]
    plain(network, processor, images[0], 4)
    ours(generation, images[0], 4)
    library, own = [], []
    for turn in range(options.rounds):
        image = Image.effect_noise((640, 480), 50 + turn).convert("RGB")  # new to both
        library.append(plain(network, processor, image, options.tokens))
        image = Image.effect_noise((640, 480), 150 + turn).convert("RGB")
        own.append(ours(generation, image, options.tokens))
    again = statistics.median(ours(generation, image, 1)[0] for _ in range(options.rounds))
    many = statistics.median(together(generation, images, options.tokens) for _ in range(options.rounds))
    first = [statistics.median(pair[0] for pair in pairs) for pairs in (library, own)]
    rate = [options.tokens / statistics.median(pair[1] for pair in pairs) for pairs in (library, own)]
    print(f"{'':34}{'plain':>10}{'nbvlm':>10}{'ratio':>8}")
    print(f"{'first token, ms':34}{1000 * first[0]:10.1f}{1000 * first[1]:10.1f}{first[1] / first[0]:8.2f}")
    print(f"{'first token, same picture, ms':34}{'':10}{1000 * again:10.1f}")
    ratio = rate[1] / rate[0]
    print(f"{'tokens a second':34}{rate[0]:10.1f}{rate[1]:10.1f}{ratio:8.2f}  gate {SINGLE}")
    batched = AT_ONCE * options.tokens / many
    gate = f"  gate {TOGETHER}" if device == "cuda" else "  (gate on a GPU only)"
    print(f"{'tokens a second, 8 at once':34}{'':10}{batched:10.1f}{batched / rate[1]:8.2f}{gate}")
    return ratio >= SINGLE and (device != "cuda" or batched / rate[1] >= TOGETHER)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=("tiny", "3b"), default="tiny")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError:
        print('Not measured: PyTorch and transformers are not installed: pip install "nbvlm[local]"')
        return 0
    with torch.inference_mode():
        return 0 if measure(options) else 1


if __name__ == "__main__":
    sys.exit(main())
