"""The Accept header."""

import pytest

from bridge.negotiation import JSON, OGG, SSE, WAV, choose


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("audio/*", WAV),
        ("Audio/X-WAV", WAV),
        ("audio/wav, application/json;q=0.9", WAV),
        ("audio/wav;q=0.5, application/json", JSON),
        ("audio/wav, application/json", JSON),
        ("application/json;q=0, */*", WAV),
        ("text/html, */*;q=0.1", JSON),
        ("audio/wav;q=loud", None),
        ("text/html", None),
        ("text/event-stream", SSE),
        ("application/ogg", OGG),
        ("audio/*;q=0.1, text/*", SSE),
    ],
)
def test_the_best_liked_offer(accept, chosen):
    assert choose(accept, (JSON, WAV, OGG, SSE)) == chosen
