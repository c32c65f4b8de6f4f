"""How the API describes what it has of its own: forms of requests and answers that no signature tells FastAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from agent.contract.catalogue import Rendering
from agent.contract.messages import HearingOptions, Request, Sampling, StreamOptions, VoiceOptions
from agent.contract.reply import Reply
from agent.contract.sessions import SessionConfig
from agent.contract.templates import Template
from agent.contract.terms import AudioFormat
from bridge.errors import Problem
from bridge.negotiation import JSON, RESPOND_ASYNC, SSE, WAV
from bridge.openapi import PROBLEMS, REF, ref
from bridge.progress import Progress

ASK_PATH = "/v1/ask"
MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (Request, "validation"),
    (Template, "validation"),
    (Rendering, "validation"),
    (SessionConfig, "validation"),
    (Reply, "serialization"),
    (Progress, "serialization"),
    (Problem, "serialization"),
]
_PLAIN_FIELDS = (
    "id",
    "session_id",
    "reply_mode",
    "text",
    "model",
    "mode",
    "system",
    "persona",
    "template",
    "on_overflow",
    "language",
    "deadline_ms",
    "barge_in",
)
_NESTED = (("tts", VoiceOptions), ("stt", HearingOptions), ("params", Sampling), ("stream", StreamOptions))
_EVENTS = """event: token
id: 4
data: {"type":"token","id":"9f2c","seq":4,"t_ms":212.4,"delta":"Paris"}

event: reply
data: {"v":1,"id":"9f2c","status":"ok","reply_mode":"text","text":"Paris.","agent":"orin"}

"""


def asking() -> dict[str, Any]:
    """What `/v1/ask` takes; worked out when somebody asks, for it takes as long as many an import."""
    fields = _flat_fields()
    return {"parameters": _parameters(fields), "requestBody": _request_body(fields)}


def _flat_fields() -> dict[str, Any]:
    """The fields that forms and query parameters can carry, each with its schema."""
    envelope = Request.model_json_schema(ref_template=REF)["properties"]
    flat = {name: envelope[name] for name in _PLAIN_FIELDS}
    for parent, model in _NESTED:
        properties = model.model_json_schema(ref_template=REF)["properties"]
        flat |= {f"{parent}.{name}": schema for name, schema in properties.items() if schema.get("type") != "array"}
    return {name: _never_null(schema) for name, schema in flat.items()}


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` for a field that, where it is not wanted, is left out."""
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    for variant in schema.get("anyOf", []):
        if variant != {"type": "null"}:
            kept |= variant
    return kept


def _parameters(fields: dict[str, Any]) -> list[dict[str, Any]]:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The request's id: the same again is the same request.",
        "schema": fields["id"],
    }
    prefer = {
        "name": "Prefer",
        "in": "header",
        "description": f"`{RESPOND_ASYNC}`: 202 once the agent has the request, instead of its answer.",
        "schema": {"type": "string"},
        "example": RESPOND_ASYNC,
    }
    query = [
        {"name": name, "in": "query", "description": schema.get("description", ""), "schema": schema}
        for name, schema in fields.items()
    ]
    return [key, prefer, *query]


def _request_body(fields: dict[str, Any]) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    examples = {
        "typed": {"summary": "Text in, text out", "value": {"text": "What is the capital of France?"}},
        "heard": {"summary": "Text in, speech out", "value": {"text": "Good morning!", "reply_mode": "both"}},
        "conversation": {
            "summary": "A whole conversation",
            "value": {
                "messages": [
                    {"role": "user", "content": "My name is Ada."},
                    {"role": "assistant", "content": "Hello Ada!"},
                    {"role": "user", "content": "What is my name?"},
                ],
                "params": {"temperature": 0, "max_tokens": 32},
            },
        },
    }
    form = {"type": "object", "properties": {"file": {**binary, "description": "A WAV file."}, **fields}}
    return {
        "description": "Exactly one of `text`, `audio` and `messages`; a field that is not in the body may come as a"
        " query parameter.",
        "content": {
            JSON: {"schema": ref(Request), "examples": examples},
            "text/plain": {"schema": {"type": "string"}, "example": "What is the capital of France?"},
            "multipart/form-data": {"schema": form},
            WAV: {"schema": {**binary, "description": "A WAV file, as it is."}},
        },
    }


def _answers() -> dict[str, Any]:
    spoken = "With speech that comes whole: "
    text = {"schema": {"type": "string"}, "description": f"{spoken}the answer, percent-encoded UTF-8."}
    heard = {"schema": {"type": "string"}, "description": f"{spoken}what was heard, percent-encoded UTF-8."}
    binary = {"type": "string", "format": "binary"}
    return {
        "description": "The reply. As `audio/…`, where `Accept` asks for it, only its speech: whole, or with"
        " `stream.audio` from the first sentence on. As `text/event-stream` events while the run goes on, each as"
        " MQTT has it; `audio` has its chunk as base64 in `data`; the last one is `reply`.",
        "headers": {
            "EdgeVoice-Id": {"schema": {"type": "string"}, "description": "The request's id."},
            "EdgeVoice-Text": text,
            "EdgeVoice-Transcript": heard,
        },
        "content": {
            JSON: {"schema": ref(Reply)},
            **{kind.media_type: {"schema": binary} for kind in AudioFormat},
            SSE: {"schema": {"type": "string"}, "example": _EVENTS},
        },
    }


def _body(model: type[BaseModel], *, required: bool = True, example: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a route takes that reads its body by the contract: FastAPI's own way knows no JSON of strict models."""
    described = {"schema": ref(model), **({"example": example} if example else {})}
    return {"requestBody": {"required": required, "content": {JSON: described}}}


def _accepted() -> dict[str, Any]:
    return {
        "description": f"The agent has it; only with `Prefer: {RESPOND_ASYNC}`.",
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "Where to ask what became of it."},
            "Preference-Applied": {"schema": {"type": "string"}},
            "EdgeVoice-Id": {"schema": {"type": "string"}, "description": "The request's id."},
        },
        "content": {JSON: {"schema": ref(Progress)}},
    }


TEMPLATE_REQUEST = _body(
    Template, example={"config": {"temperature": 0}, "to": None, "template": "Translate into {to}:\n\n{user}"}
)
"""What is saved as a template."""
RENDERING_REQUEST = _body(Rendering)
"""What a template is filled with."""
CONFIG_REQUEST = _body(SessionConfig)
"""How a conversation is to be answered."""
RESET_REQUEST = _body(SessionConfig, required=False)
"""The same, where it may stay as it is."""
PROMPT_REQUEST = _body(
    Template,
    example={
        "config": {"temperature": "1.0", "top_p": "0.95", "max_tokens": "256"},
        "system": "Answer in one word. ",
        "user": "What is the capital of France?",
        "template": "{system}{user}",
    },
)
"""What is asked by a template."""
PROMPT_RESPONSE: dict[str, Any] = {"description": "The reply.", "content": {JSON: {"schema": ref(Reply)}}}
ASK_RESPONSES: dict[int | str, dict[str, Any]] = {200: _answers(), 202: _accepted(), **PROBLEMS}
