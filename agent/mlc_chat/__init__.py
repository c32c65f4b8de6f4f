"""MLC's Python API of 2023, over the engines of today: see the README beside this file."""

from agent.mlc_chat.chat_module import ChatModule
from agent.mlc_chat.config import ChatConfig, ConvConfig, GenerationConfig

__all__ = ["ChatConfig", "ChatModule", "ConvConfig", "GenerationConfig"]
