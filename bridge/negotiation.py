"""Which form of an answer a caller wants, and when: the headers `Accept` (RFC 9110) and `Prefer` (RFC 7240)."""

from __future__ import annotations

from collections.abc import Sequence

JSON = "application/json"
WAV = "audio/wav"
OGG = "audio/ogg"
SSE = "text/event-stream"
_OTHER_NAMES = {
    "audio/x-wav": WAV,
    "audio/wave": WAV,
    "audio/vnd.wave": WAV,
    "audio/opus": OGG,
    "application/ogg": OGG,
}
RESPOND_ASYNC = "respond-async"


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that `accept` likes best, the first of equals; None where it likes none."""
    ranges = [_range(text) for text in (accept or "*/*").split(",") if text.strip()]
    liked = {offer: _quality(offer, ranges) for offer in offers}
    best = max(offers, key=lambda offer: liked[offer])
    return best if liked[best] > 0 else None


def prefers_async(headers: Sequence[str]) -> bool:
    """Whether `Prefer` headers ask for an answer before the work is done."""
    preferences = (text for header in headers for text in header.split(","))
    return any(text.partition(";")[0].strip().lower() == RESPOND_ASYNC for text in preferences)


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            quality = _number(value.strip())
    return _OTHER_NAMES.get(name, name), quality


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that matches `offer`."""
    for wanted in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        for name, quality in ranges:
            if name == wanted:
                return quality
    return 0.0
