"""What llama.cpp's server tells over HTTP only: how much a slot holds, and how many tokens a conversation has."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from agent.contract.terms import Stage
from agent.errors import EngineError

_ANSWER_S = 10.0


class Listener:
    """The server in this process, by the listener that it cannot do without."""

    def __init__(self, address: str, key: str) -> None:
        """`key` lets us in."""
        server = urlsplit(address)
        self._host, self._port = server.hostname or "127.0.0.1", server.port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def window(self) -> int:
        """The tokens that a slot really has: llama.cpp rounds, and cuts at what the model was trained for."""
        return int(self._ask("GET", "/slots", lambda answer: answer[0]["n_ctx"]))

    def count(self, asked: str | Sequence[dict[str, str]]) -> int:
        """The tokens of a prompt, or of a conversation in the form of the model's own template."""
        if not isinstance(asked, str):
            asked = self._ask("POST", "/apply-template", lambda answer: answer["prompt"], {"messages": asked})
        content = {"content": asked, "add_special": True, "parse_special": True}
        return len(self._ask("POST", "/tokenize", lambda answer: answer["tokens"], content))

    def _ask(self, method: str, path: str, take: Any, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_ANSWER_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            return take(json.loads(connection.getresponse().read()))
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as exc:
            raise EngineError(Stage.LLM, f"llama.cpp does not answer {path}: {exc!r}") from exc
        finally:
            connection.close()
