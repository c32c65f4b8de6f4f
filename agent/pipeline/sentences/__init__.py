"""An answer that is being written, cut into what is spoken in one go."""

from agent.pipeline.sentences.splitter import Sentences

__all__ = ["Sentences"]
