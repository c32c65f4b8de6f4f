"""What a model writes for itself and not for a listener: think blocks, marks of its chat template, comments."""

from __future__ import annotations

import re

TAGS = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|tool_call|tool_code"
"""Names of the tags that a model puts around what is not for the listener, as a pattern."""

_NAMES = f"{TAGS}|script|style"
_BLOCK = re.compile(rf"<({_NAMES})\b[^<>]{{0,200}}>.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_BLOCK = re.compile(rf"\A.*</(?:{_NAMES})\s*>", re.DOTALL | re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary)\b.*?(?:<\|end\|>|<\|channel\|>\s*final|\Z)", re.DOTALL)
_FINAL = re.compile(r"<\|channel\|>\s*final\b")
_ROLE = re.compile(r"<\|(?:start|start_header_id|im_start)\|>\s*(?:system|user|assistant)?")
_TOKEN = re.compile(
    r"<\|[\w ]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>(?:model|user)?|<(?:bos|eos|pad)>"
)
_SPEAKER = re.compile(r"\A\s*(?:\*\*)?(?:Assistant|AI)(?:\*\*)?\s*:(?:\*\*)?\s+")


def without_thoughts(text: str) -> str:
    """`text` without them; a block that is not closed reaches to the end, one that was never opened from the start."""
    if "<" in text or "[" in text:
        text = _CHANNEL.sub(" ", text)
        text = _ROLE.sub(" ", _FINAL.sub(" ", text))
        text = _END_OF_BLOCK.sub(" ", _BLOCK.sub(" ", text))
        text = _TOKEN.sub(" ", _COMMENT.sub(" ", text))
    return _SPEAKER.sub("", text)
