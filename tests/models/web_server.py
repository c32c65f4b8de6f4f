"""A web server on loopback that does what it is told: ranges, redirects, cut connections, silence."""

import json
import re
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from typing_extensions import Self


@dataclass
class Served:
    """What a path gives."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    validator: bool = True
    """Send an ETag, and honour If-Range."""
    length: bool = True
    """Say how much it is; otherwise it ends with the connection."""
    mishaps: deque[tuple[str, int]] = field(default_factory=deque)
    """One a request, until there are no more: (cut, after bytes), (stall, after bytes) or (status, code)."""
    token: str | None = None
    """Who does not send it gets 401."""


@dataclass
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]


class WebServer:
    """Serves `paths`, and keeps what it was `asked`."""

    def __init__(self) -> None:
        self.paths: dict[str, Served] = {}
        self.asked: list[Asked] = []
        self.over = Event()
        """Ends every stall."""
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self, path: str) -> list[dict[str, str]]:
        """The headers of each request for `path`."""
        return [asked.headers for asked in self.asked if asked.path == path]

    def repository(self, name: str, files: dict[str, bytes], *, large: tuple[str, ...] = (), **served) -> str:
        """Serves a repository as Hugging Face does, its large files from another host; the commit."""
        commit = sha1(b"".join(files.values()), usedforsecurity=False).hexdigest()
        listed = []
        for path, content in files.items():
            blob = {"rfilename": path, "size": len(content)}
            if path in large:
                digest = sha256(content).hexdigest()
                blob |= {"blobId": "0" * 40, "lfs": {"sha256": digest, "size": len(content), "pointerSize": 130}}
                self.paths[f"/cdn/{digest}"] = Served(content)
                away = {"Location": f"http://localhost:{self.port}/cdn/{digest}"}
                self.paths[f"/{name}/resolve/{commit}/{path}"] = Served(status=302, headers=away, **served)
            else:
                blob["blobId"] = sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
                self.paths[f"/{name}/resolve/{commit}/{path}"] = Served(content, **served)
            listed.append(blob)
        about = {
            "id": name,
            "sha": commit,
            "siblings": listed,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        self.paths[f"/api/models/{name}/revision/main?blobs=true"] = Served(json.dumps(about).encode())
        return commit


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, web: WebServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.web = web


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        web = self.server.web
        web.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
        served = web.paths.get(self.path.removeprefix(web.url), Served(status=404))
        kind, number = served.mishaps.popleft() if served.mishaps else ("", 0)
        if served.token and self.headers.get("Authorization") != f"Bearer {served.token}":
            kind, number = "status", 401
        if kind == "status" or served.status != 200:
            self._answer(number or served.status, {**served.headers, "Content-Length": "0"})
            return
        self._send(served, number if kind else len(served.content))
        if kind == "stall":
            self.wfile.flush()
            web.over.wait()

    def _send(self, served: Served, most: int) -> None:
        tag = f'"{sha256(served.content).hexdigest()}"' if served.validator else None
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found and self.headers.get("If-Range") == tag else 0
        headers = {"ETag": tag} if tag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(served.content) - 1}/{len(served.content)}"
        if served.length:
            headers["Content-Length"] = str(len(served.content) - start)
        self._answer(206 if start else 200, headers)
        self.wfile.write(served.content[start : start + most])

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""
