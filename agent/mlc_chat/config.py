"""What a program may say of its chat: every field is optional, and one that cannot be honoured is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

_FORM = {"refused": "the form of a conversation is the model's own; with conv_template='LM' the prompt is all yours"}
_LOADED = {"refused": "is decided when a model is loaded: register the model in EdgeVoice's settings, with its options"}
_FILES = {"refused": "is what the model's files say; change them there"}
_LIBRARY = {"refused": "is found beside the model; name another with model_lib_path"}


@dataclass
class ConvConfig:
    """Who the model is, and where its text ends; over what the model's own template says."""

    name: str | None = None
    """Of the conversation; without effect."""
    system: str | None = None
    """Instruction to the model; raw text has none."""
    roles: list[str] | None = field(default=None, metadata=_FORM)
    """Refused."""
    messages: list[list[str]] | None = None
    """What was said before, as pairs of who and what, the user first; raw text has no before."""
    offset: int | None = None
    """How many of `messages` count: all of them, or it is refused."""
    separator_style: int | None = None
    """0 for a conversation, 1 for raw text; over what `conv_template` comes to."""
    seps: list[str] | None = field(default=None, metadata=_FORM)
    """Refused."""
    role_msg_sep: str | None = field(default=None, metadata=_FORM)
    """Refused."""
    role_empty_sep: str | None = field(default=None, metadata=_FORM)
    """Refused."""
    stop_str: str | None = None
    """An answer ends before this."""
    stop_tokens: list[int] | None = None
    """Numbers of the model's own end tokens, at which it ends anyway: an engine cannot be told others."""
    prefix_tokens: list[int] | None = field(default=None, metadata=_FORM)
    """Refused."""
    add_bos: bool | None = None
    """True: the engine puts the token in front that its model wants there; False is refused."""


@dataclass
class ChatConfig:
    """How the model answers until it is reset; over what its mlc-chat-config.json, or EdgeVoice's settings, say."""

    model_lib: str | None = field(default=None, metadata=_LIBRARY)
    """Refused."""
    local_id: str | None = None
    """Without effect."""
    conv_template: str | None = None
    """`LM` for raw text; beside it, only the name of the model's own template."""
    temperature: float | None = None
    """0 always takes the likeliest word; higher is more varied."""
    repetition_penalty: float | None = None
    """Above 1: repetition is less likely. MLC takes the one in its file and no other."""
    top_p: float | None = None
    """Only the likeliest words that add up to this probability are considered."""
    mean_gen_len: int | None = None
    """Without effect: what does not fit into the window is forgotten turn by turn."""
    max_gen_len: int | None = None
    """Longest answer [tokens]."""
    shift_fill_factor: float | None = None
    """Without effect, like `mean_gen_len`."""
    tokenizer_files: list[str] | None = field(default=None, metadata=_FILES)
    """Refused."""
    conv_config: ConvConfig | None = None
    """Who the model is, and where its text ends."""
    model_category: str | None = field(default=None, metadata=_FILES)
    """Refused."""
    model_name: str | None = field(default=None, metadata=_FILES)
    """Refused."""
    tensor_parallel_shards: int | None = field(default=None, metadata=_LOADED)
    """Refused."""
    use_presharded_weights: bool | None = field(default=None, metadata=_LOADED)
    """Refused."""
    context_window_size: int | None = field(default=None, metadata=_LOADED)
    """Refused."""
    sliding_window_size: int | None = field(default=None, metadata=_LOADED)
    """Refused."""
    prefill_chunk_size: int | None = field(default=None, metadata=_LOADED)
    """Refused."""
    attention_sink_size: int | None = field(default=None, metadata=_LOADED)
    """Refused."""
    max_batch_size: int | None = field(default=None, metadata=_LOADED)
    """Refused."""
    opt: str | None = field(default=None, metadata=_LOADED)
    """Refused."""


@dataclass
class GenerationConfig:
    """How one answer is written; over what the ChatConfig says, for this call only."""

    temperature: float | None = None
    """0 always takes the likeliest word; higher is more varied."""
    repetition_penalty: float | None = None
    """Above 1: repetition is less likely. MLC takes the one in its file and no other."""
    top_p: float | None = None
    """Only the likeliest words that add up to this probability are considered."""
    mean_gen_len: int | None = None
    """Without effect."""
    max_gen_len: int | None = None
    """Longest answer [tokens]."""
    presence_penalty: float | None = None
    """Above 0: a word that was said is less likely."""
    frequency_penalty: float | None = None
    """Above 0: the more often a word was said, the less likely it is."""
    n: int | None = None
    """So many answers to the same question, as a list; the chat goes on with the first of them."""
    stop: str | list[str] | None = None
    """The answer ends before any of these, too."""
    seed: int | None = None
    """Makes a varied answer repeatable on one engine; the second of `n` answers has the next one."""


def check(config: ChatConfig | ConvConfig) -> None:
    """ValueError names the first field that is given and cannot be honoured."""
    for each in fields(config):
        why = each.metadata.get("refused")
        if why and getattr(config, each.name) is not None:
            raise ValueError(f"{type(config).__name__}.{each.name}: {why}")
