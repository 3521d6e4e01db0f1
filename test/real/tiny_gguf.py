"""A model of a few hundred kilobytes that a real Ollama loads: random weights, bytes as tokens.

Two layers of the llama architecture, 64 wide, in 32-bit floats; the vocabulary is 256 bytes and
some words, so that what it writes can be read.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH, FEED_FORWARD, LAYERS, HEADS, CONTEXT = 64, 128, 2, 4, 4096
WORDS = ("▁the", "▁a", "▁sky", "▁is", "▁blue", "▁and", "▁so", "▁was", "▁it")
ALIGNMENT = 32
UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def field(name: str, kind: int, value: Any) -> bytes:
    packed = {UINT32: lambda: struct.pack("<I", value), FLOAT32: lambda: struct.pack("<f", value),
              STRING: lambda: text(value)}[kind]()
    return text(name) + struct.pack("<I", kind) + packed


def array(name: str, kind: int, values: Sequence[Any]) -> bytes:
    items = b"".join(text(value) if kind == STRING else struct.pack(
        "<f" if kind == FLOAT32 else "<i", value) for value in values)
    return text(name) + struct.pack("<IIQ", ARRAY, kind, len(values)) + items


def fields() -> list[bytes]:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *WORDS]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(WORDS)]
    return [
        field("general.architecture", STRING, "llama"),
        field("general.name", STRING, "tiny"),
        field("general.file_type", UINT32, 0),
        field("general.alignment", UINT32, ALIGNMENT),
        field("llama.context_length", UINT32, CONTEXT),
        field("llama.embedding_length", UINT32, WIDTH),
        field("llama.block_count", UINT32, LAYERS),
        field("llama.feed_forward_length", UINT32, FEED_FORWARD),
        field("llama.attention.head_count", UINT32, HEADS),
        field("llama.attention.head_count_kv", UINT32, HEADS),
        field("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        field("llama.rope.dimension_count", UINT32, WIDTH // HEADS),
        field("llama.vocab_size", UINT32, len(tokens)),
        field("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.scores", FLOAT32, [-float(i) for i in range(len(tokens))]),
        array("tokenizer.ggml.token_type", INT32, kinds),
        field("tokenizer.ggml.bos_token_id", UINT32, 1),
        field("tokenizer.ggml.eos_token_id", UINT32, 2),
        field("tokenizer.ggml.unknown_token_id", UINT32, 0),
    ]


def shapes() -> dict[str, tuple[int, ...]]:
    vocabulary = 259 + len(WORDS)
    out: dict[str, tuple[int, ...]] = {"token_embd.weight": (WIDTH, vocabulary),
                                       "output_norm.weight": (WIDTH,),
                                       "output.weight": (WIDTH, vocabulary)}
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            out[f"{block}{norm}.weight"] = (WIDTH,)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out[f"{block}{part}.weight"] = (WIDTH, WIDTH)
        for part in ("ffn_gate", "ffn_up"):
            out[f"{block}{part}.weight"] = (WIDTH, FEED_FORWARD)
        out[f"{block}ffn_down.weight"] = (FEED_FORWARD, WIDTH)
    return out


def write(path: Path, seed: int = 1) -> None:
    chance = random.Random(seed)
    infos, data = b"", b""
    for name, shape in shapes().items():
        count = 1
        for size in shape:
            count *= size
        values = [1.0] * count if "norm" in name else [chance.gauss(0, 0.02) for _ in range(count)]
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += struct.pack(f"<{count}f", *values)
        data += b"\0" * (-len(data) % ALIGNMENT)
    some = fields()
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(shapes()), len(some)) + b"".join(some) + infos
    path.write_bytes(head + b"\0" * (-len(head) % ALIGNMENT) + data)
