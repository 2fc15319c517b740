"""Files like those that the first models come in, written by the tests: small, random, whole."""

import hashlib
import json
import struct
from pathlib import Path

import gguf
import numpy as np

WIDTH, INNER, HEADS, POSITIONS = 32, 64, 2, 16
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = ["▁", "▁query", "▁passage", ":", "▁hello", "▁world", "▁tax", "▁law", "hallo", "welt", "s", "1", "fi"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
PIECES = [*SPECIALS, *WORDS, *LETTERS]
SPACES, GONE = "\t\n", "\x01"


def write_recipe(folder: Path, source: Path, **manifest) -> Path:
    """A recipe for a source file, as `runtimes/recipes` has them."""
    folder.mkdir(parents=True)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    kind = manifest.setdefault("kind", "embedding")
    usual = {
        "label": folder.name.title(),
        "licence": "MIT",
        "visibility": "platform",
        "context_window": POSITIONS if kind == "embedding" else 64,
        "origin": {"file": source.name, "sha256": digest, "format": source.suffix[1:]},
    }
    if kind == "embedding":
        usual |= {
            "dimensions": WIDTH,
            "prefixes": {"query": "query: ", "passage": "passage: "},
            "default_prefix": "query",
        }
    else:
        usual |= {"default_max_output_tokens": 8}
    (folder / "manifest.json").write_text(json.dumps(usual | manifest))
    (folder / "README.md").write_text("A card.")
    return folder


# -- E5S1 ----------------------------------------------------------------------------------------------------


def write_e5s1(path: Path, *, layers: int = 2, seed: int = 1) -> dict[str, np.ndarray]:
    """Returns what the tensors are, unpacked."""
    rng = np.random.default_rng(seed)
    tensors = {name: rng.normal(size=shape).astype("<f4") for name, shape in _shapes(layers).items()}
    vocabulary = _vocabulary()
    head = b"E5S1" + struct.pack("<8i", 1, WIDTH, layers, HEADS, INNER, len(PIECES), POSITIONS, 2)
    head += struct.pack("<fi", 1e-12, 32) + vocabulary
    packed, unpacked = {}, {}
    for name, values in tensors.items():
        is_matrix = (name.endswith(".w") and values.ndim == 2) or name == "emb.word"
        packed[name], unpacked[name] = _q4_0(values) if is_matrix else (values.tobytes(), values)
    at = len(head) + 4 + sum(2 + len(name) + 21 for name in tensors)
    directory = struct.pack("<i", len(tensors))
    for name, blob in packed.items():
        kind = 1 if len(blob) != tensors[name].nbytes else 0
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, tensors[name].size, at, len(blob))
        at += len(blob)
    path.write_bytes(head + directory + b"".join(packed.values()))
    return unpacked


def _shapes(layers: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (len(PIECES), WIDTH),
        "emb.pos": (POSITIONS, WIDTH),
        "emb.type": (2, WIDTH),
    }
    matrices = {"q": WIDTH, "k": WIDTH, "v": WIDTH, "ao": WIDTH}
    for layer in range(layers):
        for name in matrices:
            shapes |= {f"l{layer}.{name}.w": (WIDTH, WIDTH), f"l{layer}.{name}.b": (WIDTH,)}
        shapes |= {f"l{layer}.fi.w": (INNER, WIDTH), f"l{layer}.fi.b": (INNER,)}
        shapes |= {f"l{layer}.fo.w": (WIDTH, INNER), f"l{layer}.fo.b": (WIDTH,)}
        for name in ("aln", "oln"):
            shapes |= {f"l{layer}.{name}.{part}": (WIDTH,) for part in "wb"}
    return shapes | {f"emb.ln.{part}": (WIDTH,) for part in "wb"}


def _q4_0(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    blocks = values.reshape(-1, 32)
    scales = (np.abs(blocks).max(axis=1) / 7).astype("<f2")
    weights = np.clip(np.round(blocks / scales[:, None].astype("<f4")), -8, 7).astype(np.int8)
    nibbles = (weights + 8).astype(np.uint8)
    pairs = nibbles[:, :16] | (nibbles[:, 16:] << 4)
    blob = b"".join(scale.tobytes() + pair.tobytes() for scale, pair in zip(scales, pairs, strict=True))
    return blob, (weights * scales[:, None].astype("<f4")).reshape(values.shape)


def _vocabulary() -> bytes:
    pieces = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4")
    scores = np.array([0.0] * 4 + [-1.0 - index / 10 for index in range(len(PIECES) - 4)], "<f4")
    rewritten = {**dict.fromkeys(SPACES, " "), **dict.fromkeys(GONE, ""), "ﬁ": "fi", "①": "1"}
    table = b""
    for character, text in rewritten.items():
        table += struct.pack("<IB", ord(character), len(text))
        table += b"".join(struct.pack("<I", ord(one)) for one in text)
    text = b"".join(pieces)
    return (
        struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(text))
        + offsets.tobytes()
        + scores.tobytes()
        + text
        + struct.pack("<iI", len(rewritten), len(table))
        + table
    )


# -- GGUF ----------------------------------------------------------------------------------------------------


def write_gguf(path: Path, tokenizer_file: Path) -> None:
    """A Llama of one layer with random weights and a byte-level BPE tokenizer that exists."""
    tokenizer = json.loads(tokenizer_file.read_text())["model"]
    tokens = sorted(tokenizer["vocab"], key=tokenizer["vocab"].get)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["merges"]]
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / 8).astype("<f4")

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(32)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokenizer["vocab"]["<|im_start|>"])
    writer.add_eos_token_id(tokenizer["vocab"]["<|im_end|>"])
    writer.add_chat_template(
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    for name, shape in {
        "token_embd.weight": (len(tokens), 64),
        "output_norm.weight": (64,),
        "blk.0.attn_norm.weight": (64,),
        "blk.0.ffn_norm.weight": (64,),
        **{f"blk.0.attn_{part}.weight": (64, 64) for part in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{part}.weight": (64, 64) for part in ("gate", "up", "down")},
    }.items():
        writer.add_tensor(name, draw(*shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
