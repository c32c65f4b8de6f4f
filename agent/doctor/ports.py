"""The port the bridge is to listen on."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing

from agent.doctor.finding import Finding, fail, ok
from agent.doctor.site import Site

_ANSWER_S = 2.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to be asked, not listened on
_PRIVILEGED = 1_024
_READINESS = {"ready", "missing", "agent", "engines"}


def check(site: Site) -> Iterator[Finding]:
    """Free, or our bridge already."""
    if site.bridge is None:
        return
    host, port = site.bridge.host, site.bridge.port
    where = f"port {port} of {host}"
    try:
        _bind(host, port)
    except OSError as exc:
        yield _taken(host, port, where, exc)
    else:
        yield ok("bridge port", f"{where} is free" if port else "the bridge takes any free port")


def _bind(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _taken(host: str, port: int, where: str, exc: OSError) -> Finding:
    if exc.errno != errno.EADDRINUSE:
        fix = "EDGEVOICE_BRIDGE_PORT=8080" if port < _PRIVILEGED else "EDGEVOICE_BRIDGE_HOST=127.0.0.1"
        return fail("bridge port", f"{where} cannot be used: {exc.strerror or exc}", fix)
    if _is_bridge(_ANYWHERE.get(host, host), port):
        return ok("bridge port", f"a bridge answers on {where}")
    return fail("bridge port", f"{where} is taken by another program", f"ss -ltnp 'sport = :{port}'")


def _is_bridge(host: str, port: int) -> bool:
    with closing(http.client.HTTPConnection(host, port, timeout=_ANSWER_S)) as connection:
        try:
            connection.request("GET", "/readyz")
            answer = json.loads(connection.getresponse().read(65_536))
        except (OSError, http.client.HTTPException, ValueError):
            return False
    return isinstance(answer, dict) and answer.keys() >= _READINESS
