"""HTTP as files need it: redirects and proxies followed, no other scheme, and no token for a stranger."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
from collections.abc import Mapping
from email.message import Message
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from agent.models.errors import PullError

TIMEOUT_S = 30.0
"""Longest silence of a server [s]."""

_BROKEN = (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)
"""What a connection may end with."""


class Broken(Exception):
    """The connection did not last, or the server is not well; another try may go further."""

    def __init__(self, reason: object, *, wait_s: float = 0.0) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.wait_s = wait_s
        """How long the server wants to be left alone [s]."""


class Unreachable(PullError):
    """No connection at all."""


class Response:
    """What a server answered: status, headers, and the bytes as they come."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response

    def read(self, most_bytes: int) -> bytes:
        """What has come, at least a byte; nothing at the end. Broken where it does not go on."""
        try:
            return self._response.read1(most_bytes)
        except _BROKEN as exc:
            raise Broken(exc) from exc

    def close(self) -> None:
        """Ends the connection."""
        self._response.close()


def get(url: str, headers: dict[str, str], token: str | None = None) -> Response:
    """The answer to a GET: one with a status below 400, or urllib's HTTPError; Broken or Unreachable without any.

    `token` goes to the server that `url` names, and to no other that it may send us to.
    """
    request = Request(url, headers=_headers(headers))  # noqa: S310 - the opener knows http and https only
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        return Response(_opener().open(request, timeout=TIMEOUT_S))
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as exc:
        raise _unreachable(url, exc.reason) from exc
    except _BROKEN as exc:
        raise Broken(exc) from exc


def host_of(url: str) -> str:
    """The server's name in `url`, without the password that may stand before it."""
    return urlsplit(url).netloc.rpartition("@")[2]


class _Redirects(HTTPRedirectHandler):
    """Python 3.10 does not know 308."""

    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in {"http", "https"}:
            raise PullError(f"{host_of(req.full_url)} sends us to {newurl}, which is no web address")
        kept = _without_proxy(req.headers)
        further = Request(newurl, headers=kept, origin_req_host=req.origin_req_host, unverifiable=True)  # noqa: S310 - checked
        if _origin(newurl) == _origin(req.full_url) and (token := req.unredirected_hdrs.get("Authorization")):
            further.add_unredirected_header("Authorization", token)
        return further

    http_error_308 = HTTPRedirectHandler.http_error_302


def _without_proxy(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` without those for the proxy, which the next host may not lie behind."""
    return {name: value for name, value in headers.items() if name.lower() != "proxy-authorization"}


def _opener() -> OpenerDirector:
    opener = OpenerDirector()
    handlers: tuple[Any, ...] = (
        ProxyHandler(),
        UnknownHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {"User-Agent": "edgevoice", "Accept-Encoding": "identity", **headers}


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _unreachable(url: str, reason: object) -> Unreachable:
    host = host_of(url)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Unreachable(
            f"cannot trust {host}: {reason.verify_message}; check this machine's clock and certificates (SSL_CERT_FILE)"
        )
    return Unreachable(f"cannot reach {host}: {reason}; check the network and the proxy (https_proxy)")
