"""Topics as values: the only place that builds or takes apart a topic of the contract."""

from __future__ import annotations

from dataclasses import dataclass

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import (
    DEFAULT_AGENT,
    DEFAULT_BASE,
    AdminOperation,
    Operation,
    ReplyMode,
    UploadStep,
    is_id,
)

MAX_TOPIC_BYTES = 512
_OPERATIONS = frozenset(operation.value for operation in Operation)
_MAX_NUMBER_CHARS = 9


@dataclass(frozen=True)
class UploadPart:
    """One message of a clip that arrives in pieces."""

    step: UploadStep
    number: int | None = None
    """Of a chunk, from 0."""


@dataclass(frozen=True)
class Address:
    """What the topic of a request says: who asks for what."""

    client: str
    """The caller: its MQTT user name, proven by the broker's ACL."""
    operation: Operation
    id: str | None = None
    """Only from `wav/{id}/{reply_mode}` and `stream/{id}/…`."""
    reply_mode: ReplyMode | None = None
    """Only from `wav/{id}/{reply_mode}`."""
    upload: UploadPart | None = None
    """Only from `stream/{id}/…`; what is asked then stands in its start."""


@dataclass(frozen=True)
class Topics:
    """Every topic of one agent."""

    base: str = DEFAULT_BASE
    agent: str = DEFAULT_AGENT

    def request(self, client: str, operation: Operation) -> str:
        """Where `client` asks for `operation`."""
        return f"{self._root}/request/{client}/{operation.value}"

    def admin(self, client: str, operation: AdminOperation) -> str:
        """Where the operator `client` asks for `operation`."""
        return f"{self._root}/admin/{client}/{operation.value}"

    def wav(self, client: str, request_id: str, mode: ReplyMode) -> str:
        """Where `client` sends a WAV file as it is, for callers without JSON."""
        return f"{self._root}/request/{client}/wav/{request_id}/{mode.value}"

    def upload(self, client: str, request_id: str, part: UploadPart) -> str:
        """Where `client` sends one message of a clip that arrives in pieces."""
        level = part.step.value if part.number is None else str(part.number)
        return f"{self._root}/request/{client}/stream/{request_id}/{level}"

    def reply(self, client: str, request_id: str) -> str:
        """Where the one terminal reply goes."""
        return f"{self._root}/reply/{client}/{request_id}"

    @staticmethod
    def event(reply_topic: str) -> str:
        """Where the events of the run that replies on `reply_topic` go."""
        return f"{reply_topic}/event"

    @staticmethod
    def audio(reply_topic: str, chunk: int) -> str:
        """Where a chunk, counted from 0, of the speech of the run that replies on `reply_topic` goes."""
        return f"{reply_topic}/audio/{chunk}"

    def template(self, name: str) -> str:
        """Retained: the prompt template of this name."""
        return f"{self._root}/template/{name}"

    def client_status(self, client: str) -> str:
        """Where `client`, a device, says `online` or `offline` of itself, retained."""
        return f"{self.base}/clients/{client}/status"

    @property
    def probe(self) -> str:
        """The agent's round trip to itself."""
        return f"{self._root}/probe"

    @property
    def status(self) -> str:
        """Retained: `online` or `offline`, plain."""
        return f"{self._root}/status"

    @property
    def info(self) -> str:
        """Retained: what the agent is and can do."""
        return f"{self._root}/info"

    @property
    def state(self) -> str:
        """Retained: how the agent fares."""
        return f"{self._root}/state"

    @property
    def all_requests(self) -> str:
        """The filter an agent subscribes to."""
        return f"{self._root}/request/#"

    @property
    def all_admin(self) -> str:
        """The filter an agent subscribes to for its operators."""
        return f"{self._root}/admin/#"

    @property
    def all_templates(self) -> str:
        """The filter of all prompt templates."""
        return self.template("+")

    @property
    def all_client_status(self) -> str:
        """The filter an agent subscribes to for the presence of its callers."""
        return self.client_status("+")

    def all_requests_of(self, client: str) -> str:
        """The filter of all that `client` may ask."""
        return f"{self._root}/request/{client}/#"

    def all_replies(self, client: str) -> str:
        """The filter a caller subscribes to, once for all its requests."""
        return f"{self._root}/reply/{client}/#"

    def caller(self, topic: str) -> str | None:
        """Who asks on `topic`, a request's or an operator's; None where no reply could be addressed."""
        below = topic.removeprefix(f"{self._root}/")
        client = below.removeprefix("request/").removeprefix("admin/").partition("/")[0]
        return client if is_id(client) else None

    def parse_request(self, topic: str) -> Address:
        """Who asks for what on `topic`. Raises ContractError: bad_request, or not_found for an unknown operation."""
        client, *rest = _below(f"{self._root}/request/", topic)
        if not is_id(client):
            raise ContractError(ErrorCode.BAD_REQUEST, f"{client[:80]!r} is not a client name", field="topic")
        match rest:
            case [word] if word in _OPERATIONS:
                return Address(client, Operation(word))
            case ["wav", request_id, mode]:
                return Address(client, Operation.CHAT, _request_id(request_id), _reply_mode(mode))
            case ["stream", request_id, level]:
                return Address(client, Operation.CHAT, _request_id(request_id), upload=_upload_part(level))
        raise ContractError(ErrorCode.NOT_FOUND, f"no operation {'/'.join(rest)[:80]!r}", field="topic")

    def is_admin(self, topic: str) -> bool:
        """Whether `topic` is where operators ask."""
        return topic.startswith(f"{self._root}/admin/")

    def parse_admin(self, topic: str) -> AdminOperation:
        """What an operator asks for on `topic`. Raises ContractError(not_found) for what there is not."""
        words = "/".join(_below(f"{self._root}/admin/", topic)[1:])
        try:
            return AdminOperation(words)
        except ValueError as exc:
            known = ", ".join(operation.value for operation in AdminOperation)
            message = f"no operation {words[:80]!r}; there are {known}"
            raise ContractError(ErrorCode.NOT_FOUND, message, field="topic") from exc

    def parse_reply(self, topic: str) -> tuple[str, str] | None:
        """The (client, id) whose terminal reply arrives on `topic`; None for its events and chunks."""
        match _below(f"{self._root}/reply/", topic):
            case [client, request_id]:
                return client, request_id
        return None

    def parse_event(self, topic: str) -> tuple[str, str] | None:
        """The (client, id) of whose run an event arrives on `topic`; None where it is another topic."""
        match _below(f"{self._root}/reply/", topic):
            case [client, request_id, "event"]:
                return client, request_id
        return None

    def parse_audio(self, topic: str) -> tuple[str, str, int] | None:
        """The (client, id, chunk) whose speech arrives on `topic`; None where it is another topic."""
        match _below(f"{self._root}/reply/", topic):
            case [client, request_id, "audio", chunk] if _is_number(chunk):
                return client, request_id, int(chunk)
        return None

    def parse_template(self, topic: str) -> str | None:
        """The name of the prompt template that `topic` is for; None where it is another topic."""
        match _below(f"{self._root}/template/", topic):
            case [name] if is_id(name):
                return name
        return None

    def parse_client_status(self, topic: str) -> str | None:
        """The client whose presence `topic` tells; None where it is another topic."""
        match _below(f"{self.base}/clients/", topic):
            case [client, "status"] if is_id(client):
                return client
        return None

    def owns_reply(self, client: str, topic: str, prefixes: tuple[str, ...] = ()) -> bool:
        """Whether `client` may have its reply sent to `topic`: below its own replies, or a configured prefix."""
        # A broker hangs up on whoever publishes to a topic with a control character or half a surrogate pair in it.
        if not topic.isprintable() or "+" in topic or "#" in topic or len(topic.encode()) > MAX_TOPIC_BYTES:
            return False
        allowed = (f"{self._root}/reply/{client}/", *(prefix.rstrip("/") + "/" for prefix in prefixes))
        return any(topic.startswith(prefix) and topic != prefix for prefix in allowed)

    @property
    def _root(self) -> str:
        return f"{self.base}/{self.agent}"


def _below(prefix: str, topic: str) -> list[str]:
    """The levels of `topic` that follow `prefix`; a single empty one where it lies elsewhere."""
    return topic[len(prefix) :].split("/") if topic.startswith(prefix) else [""]


def _request_id(text: str) -> str:
    if not is_id(text):
        raise ContractError(ErrorCode.BAD_REQUEST, "the id in the topic is not an id", field="id", reason="bad_id")
    return text


def _is_number(text: str) -> bool:
    """Whether `text` is a whole number as we write it."""
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_NUMBER_CHARS and str(int(text)) == text


def _upload_part(level: str) -> UploadPart:
    if level in {UploadStep.START.value, UploadStep.END.value}:
        return UploadPart(UploadStep(level))
    if _is_number(level):
        return UploadPart(UploadStep.CHUNK, int(level))
    message = f"the topic ends in {level[:20]!r}, not start, end or the number of a chunk, from 0"
    raise ContractError(ErrorCode.BAD_REQUEST, message, field="topic", reason="bad_chunk")


def _reply_mode(text: str) -> ReplyMode:
    try:
        return ReplyMode(text)
    except ValueError as exc:
        raise ContractError(
            ErrorCode.BAD_REQUEST, f"the topic ends in {text[:20]!r}, not text, audio or both", field="reply_mode"
        ) from exc
