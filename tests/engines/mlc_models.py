"""Tiny MLC models for the tests: whole on disk as far as anybody can tell without MLC, and scripted for its double."""

import json
import struct
import sys
from pathlib import Path

SHARD_BYTES = 48
THIS_MACHINE = struct.unpack_from("<H", Path(sys.executable).read_bytes(), 18)[0]
FOREIGN_MACHINE = 183 if THIS_MACHINE != 183 else 62

TEMPLATE = {
    "system_template": "<system>{system_message}\n",
    "system_message": "Be kind.",
    "roles": {"user": "<user>", "assistant": "<assistant>"},
    "seps": ["\n"],
    "role_content_sep": " ",
    "role_empty_sep": "",
    "stop_str": ["<user>"],
    "stop_token_ids": [2],
}


def make_library(path, *, machine=THIS_MACHINE, sections_at=0, window=512, chunk=64, batch=4):
    """A library that was compiled for these limits; its head says where its sections are."""
    head = b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + struct.pack("<H", machine)
    head = head.ljust(40, b"\0") + struct.pack("<Q", sections_at) + bytes(10) + struct.pack("<HH", 64, 1)
    said = {"model_type": "llama", "context_window_size": window, "prefill_chunk_size": chunk, "max_batch_size": batch}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.ljust(64, b"\0") + json.dumps(said).encode())
    return path


def make_model(folder, *, script=None, listing="tensor-cache.json", window=512, chunk=64, batch=4, **config):
    """The folder of a model, without a library."""
    folder.mkdir(parents=True)
    whole = {
        "version": "0.1.0",
        "model_type": "llama",
        "quantization": "q4f16_1",
        "model_config": {
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "context_window_size": window,
            "prefill_chunk_size": chunk,
            "max_batch_size": batch,
        },
        "vocab_size": 64,
        "context_window_size": window,
        "sliding_window_size": -1,
        "prefill_chunk_size": chunk,
        "tensor_parallel_shards": 1,
        "temperature": 0.7,
        "repetition_penalty": 1.1,
        "tokenizer_files": ["tokenizer.json"],
        "conv_template": TEMPLATE,
        "script": script or {},
        **config,
    }
    (folder / "mlc-chat-config.json").write_text(json.dumps(whole))
    shards = [f"params_shard_{number}.bin" for number in range(2)]
    records = [{"dataPath": shard, "format": "raw-shard", "nbytes": SHARD_BYTES, "records": []} for shard in shards]
    (folder / listing).write_text(json.dumps({"metadata": {"ParamSize": 2}, "records": records}))
    for shard in shards:
        (folder / shard).write_bytes(bytes(SHARD_BYTES))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_whole_model(folder, **described):
    """The folder of a model, with a library in it."""
    make_model(folder, **described)
    limits = {name: value for name, value in described.items() if name in {"window", "chunk", "batch"}}
    make_library(folder / f"{folder.name}-cpu.so", **limits)
    return folder
