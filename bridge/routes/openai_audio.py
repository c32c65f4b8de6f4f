"""`/v1/audio/speech` and `/v1/audio/transcriptions`: voice and ears alone, for clients of OpenAI's API."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from fastapi import Request as HttpRequest

from agent.contract.terms import Operation, Status
from bridge.access.access import check_access
from bridge.forms import read_parts
from bridge.intake import check_media_type, deadline_of, key_of, read_json
from bridge.openai import speech, transcripts
from bridge.openai.documentation import SPEECH_REQUEST, SPEECH_RESPONSES, TRANSCRIPT_REQUEST, TRANSCRIPT_RESPONSES
from bridge.openai.errors import failed
from bridge.openai.speech import SPEECH_PATH, OpenAiSpeech, SpeechFile, SpeechRequest
from bridge.openai.transcripts import TRANSCRIPTIONS_PATH
from bridge.state import opened
from bridge.streaming import LiveAnswer

router = APIRouter(tags=["openai"], dependencies=[Depends(check_access)])


@router.post(
    SPEECH_PATH,
    summary="Speak a text, as OpenAI does",
    responses=SPEECH_RESPONSES,
    openapi_extra=SPEECH_REQUEST,
    response_model=None,
)
async def speak(http: HttpRequest) -> Response:
    """Its speech, from the first sentence on; where it fails after that, the connection breaks off.

    MP3 and FLAC come when they are whole.
    """
    bridge, key = opened(http), key_of(http)
    info = bridge["agent"].info
    asked, written = speech.to_request(SpeechRequest.decode(await read_json(http)), info)
    await written.check_known()
    request = asked.model_copy(update={"id": key.id, "deadline_ms": deadline_of(bridge)})
    form = SpeechFile(request, info, written.file) if written.file else OpenAiSpeech(request, info)
    agent = bridge["settings"].agent
    return LiveAnswer(form, request, key, bridge["waiting"], agent=agent, operation=Operation.SPEAK)


@router.post(
    TRANSCRIPTIONS_PATH,
    summary="Write down what is said, as OpenAI does",
    responses=TRANSCRIPT_RESPONSES,
    openapi_extra=TRANSCRIPT_REQUEST,
    response_model=None,
)
async def transcribe(http: HttpRequest) -> Response:
    """What is said in `file`, in the form that `response_format` names."""
    bridge, key = opened(http), key_of(http)
    check_media_type(http, "multipart/form-data")
    asked, form = transcripts.to_request(await read_parts(http), bridge["agent"].info)
    request = asked.model_copy(update={"id": key.id, "deadline_ms": deadline_of(bridge)})
    reply = await bridge["waiting"].ask(request, key, http.receive, operation=Operation.TRANSCRIBE)
    if reply.status is not Status.OK:
        return failed(reply, TRANSCRIPTIONS_PATH)
    return transcripts.in_form(reply, form)
