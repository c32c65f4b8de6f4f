"""The requester's side of the contract: what programs, the bridge and our own commands ask the agent by."""

from agent.client.client import AgentClient
from agent.client.exchange import NoReply
from agent.client.listeners import AudioChunk
from agent.client.upload import Upload

__all__ = ["AgentClient", "AudioChunk", "NoReply", "Upload"]
