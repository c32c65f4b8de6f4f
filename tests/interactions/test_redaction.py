"""What is masked of people's addresses and numbers, and what is no such thing."""

import pytest

from agent.interactions.redaction import masked


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Write to ada.lovelace+x@mail.example.org.", "Write to [email]."),
        ("ada@example.org, bob@example.org", "[email], [email]"),
        ("Call +49 30 1234567 now", "Call [phone] now"),
        ("Call +1 (555) 123-4567.", "Call [phone]."),
        ("(030) 1234567 or 030/1234567 or 0171 1234567", "[phone] or [phone] or [phone]"),
        ("555-123-4567", "[phone]"),
        ("My card is 4111 1111 1111 1111, thanks", "My card is [card], thanks"),
        ("4111-1111-1111-1111", "[card]"),
        ("378282246310005", "[card]"),
    ],
)
def test_what_is_masked(text, kept):
    assert masked(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "At 2026-01-02 12:00 it was 21.5 degrees",
        "It costs 1,299.00, not 1 000 000",
        "0.00000012 or 3.14159265358979",
        "Room 555-1234, item 1234567890123",
        "user@localhost, @ada",
        "192.168.178.21",
        "4111 1111 1111 1112",
        "in 7 days, 24 hours",
    ],
)
def test_what_is_not(text):
    assert masked(text) == text


@pytest.mark.parametrize("piece", ["0", "0 ", "a", "a.", "a@", "(0", "+", "4 "])
@pytest.mark.timeout(20)
def test_no_text_takes_long(piece):
    masked(piece * 40_000 + "x")
