"""A double of MLC LLM's Python API, version 0.20: the asynchronous engine, and how it behaves when things go wrong.

What the model says, and what goes wrong, is written in the field `script` of the model's own mlc-chat-config.json:

answer       what it says; `answers` maps parts of prompts to what it says to them instead
endless      it begins again where the answer ends
step_s       how long the engine takes for a step [s]: a chunk of a prompt, or a token of every conversation
memory       tokens that fit into the device's memory (mode `server`)
load_error   loading fails of this
dies_at      number of the request at which the engine's thread dies; `dies_of` says of what
stalls_at    number of the request from which on the engine's thread does nothing any more

A library is an ELF header, followed by what the model was compiled for, as JSON. Every engine writes what happens to it
into `journal.jsonl` in the model's folder.
"""

from mlc_llm import protocol, serve
from mlc_llm.serve import AsyncMLCEngine

__version__ = "0.1.dev0"
__all__ = ["AsyncMLCEngine", "protocol", "serve"]
