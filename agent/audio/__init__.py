"""Sound: what a clip is, and the forms in which it comes and goes."""

from agent.audio.sound import SILENCE_DBFS, Audio
from agent.audio.wav import decode_wav, encode_wav

__all__ = ["SILENCE_DBFS", "Audio", "decode_wav", "encode_wav"]
