"""The agent: hears requests over MQTT, runs speech-to-text, language model and text-to-speech, and replies."""

__version__ = "0.1.0"
