"""What a person would say for a text that was written to be read."""

from agent.speech_text.speech import speech_text

__all__ = ["speech_text"]
