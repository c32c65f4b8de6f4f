"""How the API describes what it has for OpenAI's clients."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from agent.contract.terms import AudioFormat
from bridge.negotiation import JSON, SSE
from bridge.openai.errors import OpenAiError
from bridge.openai.formats import FileKind
from bridge.openai.parameters import ChatRequest
from bridge.openai.responses import ChatCompletion
from bridge.openai.speech import SpeechRequest
from bridge.openai.transcripts import Transcription, VerboseTranscription
from bridge.openapi import problems, ref

CHAT_PATHS = ("/v1/chat/completions", "/chat/completions")
MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (ChatRequest, "validation"),
    (ChatCompletion, "serialization"),
    (SpeechRequest, "validation"),
    (Transcription, "serialization"),
    (VerboseTranscription, "serialization"),
    (OpenAiError, "serialization"),
]
_EXAMPLES: dict[str, Any] = {
    "typed": {
        "summary": "A question",
        "value": {"model": "default", "messages": [{"role": "user", "content": "What is the capital of France?"}]},
    },
    "streamed": {
        "summary": "Told while it is written",
        "value": {
            "model": "default",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
            "max_tokens": 32,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    },
    "heard": {
        "summary": "Answered in speech",
        "value": {
            "model": "default",
            "messages": [{"role": "user", "content": "Good morning!"}],
            "modalities": ["text", "audio"],
            "audio": {"voice": "alloy", "format": "wav"},
        },
    },
}
_CHUNKS = """data: {"id":"chatcmpl-9f2c","object":"chat.completion.chunk","created":1790000000,"model":"default",\
"choices":[{"index":0,"delta":{"content":"Paris"},"logprobs":null,"finish_reason":null}],"usage":null}

data: [DONE]

"""
OPENAI_PROBLEMS = problems(OpenAiError, JSON)
"""What any of these routes may answer instead, by status."""
CHAT_REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": "format",
            "in": "query",
            "description": "`messages`: the answer is an array of one message, its `role` and `content` alone.",
            "schema": {"type": "string", "enum": ["openai", "messages"]},
        }
    ],
    "requestBody": {"required": True, "content": {JSON: {"schema": ref(ChatRequest), "examples": _EXAMPLES}}},
}
"""What a chat takes."""
_ARRAY = {"type": "array", "items": {"$ref": "#/components/schemas/Message"}}
CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream` in chunks, the last one before `[DONE]` with its usage where"
        " `stream_options.include_usage` asks for it.",
        "content": {
            JSON: {"schema": {"anyOf": [ref(ChatCompletion), _ARRAY]}},
            SSE: {"example": _CHUNKS},
        },
    },
    **OPENAI_PROBLEMS,
}
"""What a chat may be answered."""
_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
SPEECH_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": ref(SpeechRequest),
                "example": {"model": "tts-1", "voice": "alloy", "input": "Good morning!", "response_format": "wav"},
            }
        },
    }
}
"""What is to be spoken."""
SPEECH_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The speech.",
        "content": {kind.media_type: {"schema": _BINARY} for kind in (*AudioFormat, *FileKind)},
    },
    **OPENAI_PROBLEMS,
}
"""What that may be answered."""
TRANSCRIPT_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {**_BINARY, "description": "A WAV file."},
                        "model": {**_TEXT, "description": "The agent's engine, which OpenAI's names mean, too."},
                        "language": {**_TEXT, "description": "Language of the speech: `en`, `de`, …"},
                        "prompt": {**_TEXT, "description": "Words that are likely in it."},
                        "response_format": {**_TEXT, "enum": ["json", "text", "verbose_json", "srt", "vtt"]},
                    },
                }
            }
        },
    }
}
"""What is to be written down."""
TRANSCRIPT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What was heard.",
        "content": {
            JSON: {"schema": {"anyOf": [ref(Transcription), ref(VerboseTranscription)]}},
            "text/plain": {"schema": _TEXT},
            "text/vtt": {"schema": _TEXT},
        },
    },
    **OPENAI_PROBLEMS,
}
"""What that may be answered."""
