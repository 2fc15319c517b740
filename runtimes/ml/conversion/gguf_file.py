"""A chat model out of a GGUF file, through transformers' own reader (which needs the package gguf).

The 4-bit weights are unpacked and kept in float16, half the size of float32; what that rounds away is a
thousandth of what the 4 bits did.
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging

from .errors import Unconvertible

# Tried with SmolLM2: sampled, it misses what it knows; greedy without a penalty, it repeats lines for ever.
REPETITION_PENALTY = 1.1

logging.disable_progress_bar()


def convert(source: Path, folder: Path) -> None:
    """Raises Unconvertible."""
    torch.set_num_threads(1)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            local_files_only=True,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
    except (ValueError, KeyError, IndexError, OSError, RuntimeError, NotImplementedError) as exc:
        raise Unconvertible(f"{source.name} cannot be read as GGUF: {exc}") from exc
    if not tokenizer.chat_template:
        raise Unconvertible(f"{source.name} has no chat template.")
    model.generation_config.do_sample = False
    model.generation_config.repetition_penalty = REPETITION_PENALTY
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
