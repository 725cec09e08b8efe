"""Tiny models with random weights, made from their configurations; the tokenizers hold location tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 1024,
}
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(specials: list[str], **names: str) -> Any:
    """Train a small byte-level tokenizer: every text can be written."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["detect cat ; dog", "caption en", "a red car"], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


def paligemma(folder: Path, *, size: int = 32, seed: int = 0, **text: Any) -> Path:
    """Write a PaliGemma of two layers, with all location and segmentation tokens."""
    words = tokenizer(["<pad>", "<eos>", "<bos>"], pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    eye = transformers.SiglipImageProcessor(size={"height": size, "width": size})
    eye.image_seq_length = (size // 16) ** 2
    processor = transformers.PaliGemmaProcessor(eye, words)
    count = len(processor.tokenizer)
    config = transformers.PaliGemmaConfig(
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "patch_size": 16,
            "image_size": size,
            "projection_dim": TEXT["hidden_size"],
        },
        text_config={
            "model_type": "gemma",
            "vocab_size": count,
            "head_dim": 16,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
        }
        | TEXT
        | text,
        image_token_index=processor.image_token_id,
        projection_dim=(TEXT | text)["hidden_size"],
        hidden_size=(TEXT | text)["hidden_size"],
        vocab_size=count,
    )
    return _saved(transformers.PaliGemmaForConditionalGeneration, config, processor, folder, seed)


def qwen(folder: Path, *, seed: int = 0) -> Path:
    """Write a Qwen2.5-VL of two layers with its chat template."""
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    marks += ["<|image_pad|>", "<|video_pad|>", "<|box_start|>", "<|box_end|>"]
    words = tokenizer(marks, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    processor = transformers.Qwen2_5_VLProcessor(
        transformers.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=112 * 112),
        words,
        transformers.Qwen2VLVideoProcessor(),
        chat_template=CHAT,
    )
    ids = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in ("vision_start", "vision_end")}
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words),
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
            "bos_token_id": None,
            "eos_token_id": words.eos_token_id,
            "pad_token_id": words.pad_token_id,
        }
        | TEXT,
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": TEXT["hidden_size"],
            "fullatt_block_indexes": [1],
        },
        image_token_id=words.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=words.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    return _saved(transformers.Qwen2_5_VLForConditionalGeneration, config, processor, folder, seed)


def gemma3(folder: Path, *, seed: int = 0) -> Path:
    """Write a Gemma 3 of two layers: its processor takes the pictures of each question as a list."""
    marks = {"boi_token": "<boi>", "eoi_token": "<eoi>", "image_token": "<image>"}
    specials = ["<pad>", "<eos>", "<bos>", *marks.values()]
    words = tokenizer(specials, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", **marks)
    ids = {name: words.convert_tokens_to_ids(mark) for name, mark in marks.items()}
    chat = "{{ bos_token }}{% for part in messages[0].content %}{{ part.text or '<boi>' }}{% endfor %}"
    eye = transformers.Gemma3ImageProcessor(size={"height": 32, "width": 32})
    processor = transformers.Gemma3Processor(eye, words, chat_template=chat, image_seq_length=4)
    config = transformers.Gemma3Config(
        text_config={
            "vocab_size": len(words),
            "head_dim": 16,
            "sliding_window": 64,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
        }
        | TEXT,
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "patch_size": 8,
            "image_size": 32,
        },
        mm_tokens_per_image=4,
        boi_token_index=ids["boi_token"],
        eoi_token_index=ids["eoi_token"],
        image_token_index=ids["image_token"],
    )
    return _saved(transformers.Gemma3ForConditionalGeneration, config, processor, folder, seed)


def _saved(kind: Any, config: Any, processor: Any, folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    kind(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
