"""The words of the contract: identifiers and the closed sets of values that appear on the wire."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated

from pydantic import Field

MAX_ID_CHARS = 64
ID_PATTERN = rf"^[A-Za-z0-9_.-]{{1,{MAX_ID_CHARS}}}$"

Id = Annotated[str, Field(pattern=ID_PATTERN)]
"""A request id, a client, an agent: each is one level of a topic."""

TopicBase = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")]
"""What every topic begins with; its last level is the contract's major version."""

DEFAULT_BASE = "edgevoice/v1"
HTTP_CLIENT_PREFIX = "http-"
"""What the client of an API key is called: `http-` and the key's name."""
DEFAULT_AGENT = "orin"

_ID = re.compile(ID_PATTERN[1:-1])


def is_id(text: str) -> bool:
    """Whether `text` may stand as one level of a topic."""
    return _ID.fullmatch(text) is not None


class Operation(str, Enum):
    """What a request asks for: the last level of its topic."""

    CHAT = "chat"
    TRANSCRIBE = "transcribe"
    SPEAK = "speak"
    CANCEL = "cancel"
    LOOKUP = "lookup"
    SESSION = "session"


class SessionOperation(str, Enum):
    """What may be done with a conversation."""

    LIST = "list"
    """All of the caller's: a SessionList."""
    GET = "get"
    """What was said in one: a SessionHistory."""
    RESET = "reset"
    """It begins anew, as it is configured: a SessionInfo."""
    DELETE = "delete"
    """It is forgotten, with its configuration: a SessionInfo without turns."""
    CONFIG = "config"
    """How its requests are answered; with `config`, from now on: a SessionInfo."""


class Overflow(str, Enum):
    """What becomes of a conversation that does not fit into the model's window."""

    TRIM = "trim"
    """Its oldest turns are left out."""
    SUMMARIZE = "summarize"
    """Its oldest turns are told in short."""
    ERROR = "error"
    """The request is refused."""


class AdminOperation(str, Enum):
    """What an operator asks for: the last level of its topic."""

    HEALTH = "health"
    """How the agent fares: a Health."""
    MODELS_LIST = "models.list"
    """The language models: a ModelList."""
    MODELS_LOAD = "models.load"
    """Loads one, and answers with the list once it is there."""
    MODELS_UNLOAD = "models.unload"
    """Gives one's memory back, and answers with the list."""
    TEMPLATES_LIST = "templates.list"
    """The prompt templates: a TemplateList."""
    TEMPLATES_GET = "templates.get"
    """One of them, in the version that is asked for: a StoredTemplate."""
    TEMPLATES_PUT = "templates.put"
    """Saves one as a new version: a StoredTemplate."""
    TEMPLATES_DELETE = "templates.delete"
    """Takes one away, which is a version, too: a StoredTemplate without a template."""
    TEMPLATES_UNDO = "templates.undo"
    """Drops the latest version: a StoredTemplate, as it was before."""
    TEMPLATES_RENDER = "templates.render"
    """What the model would be asked, without asking it: a Rendered."""
    DRAIN = "drain"
    """Takes nothing more on, finishes what runs, and ends the agent's process: a Health, at once."""


class Stage(str, Enum):
    """One step of a run."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class ReplyMode(str, Enum):
    """What the caller wants back."""

    TEXT = "text"
    AUDIO = "audio"
    BOTH = "both"

    @property
    def heard(self) -> bool:
        """Whether the reply is to carry speech."""
        return self is not ReplyMode.TEXT


class AudioFormat(str, Enum):
    """How sound is written down; always mono, 16-bit where it is not compressed."""

    WAV = "wav"
    PCM = "pcm_s16le"
    """The samples alone, little endian."""
    OPUS = "opus"
    """Opus in an Ogg file."""

    @property
    def media_type(self) -> str:
        """Its content type, without parameters."""
        return {"wav": "audio/wav", "pcm_s16le": "audio/pcm", "opus": "audio/ogg"}[self.value]


class UploadStep(str, Enum):
    """Which message of a clip that arrives in pieces."""

    START = "start"
    CHUNK = "chunk"
    END = "end"


class Mode(str, Enum):
    """How the question reaches the language model."""

    CHAT = "chat"
    """As a conversation, in the form the model was taught."""
    RAW = "raw"
    """Byte for byte, with nothing around it."""


class Status(str, Enum):
    """How a run ended."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class FinishReason(str, Enum):
    """Why the language model stopped."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    LOOP = "loop"
    """It said the same again and again, which was cut off."""


class RunState(str, Enum):
    """Where a request is on its way to an outcome."""

    ARRIVING = "arriving"
    """Its clip is still coming, in pieces."""
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class Role(str, Enum):
    """Who says a message of a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Phase(str, Enum):
    """Where an agent is in its life."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    DRAINING = "draining"


class Presence(str, Enum):
    """The plain payload of an agent's retained status topic."""

    ONLINE = "online"
    OFFLINE = "offline"
