"""The servers that come with llama.cpp and its bindings, behind plain HTTP: with the agent's model and options.

`llama.cpp's own server` is the one inside xllamacpp, the library that EdgeVoice uses, so its kernels are the same; it
alone is `python -m benchmarks.peers.llama_servers PORT MODEL`. `llama_cpp.server` is that of llama-cpp-python, where
this or `.venv-peers` has it (`make bench` compiles it there), with our context and one thread, else as it comes.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx

from agent.engines.llm_llamacpp import LlamaCppOptions
from agent.stack.child import Child
from agent.stack.ports import HOST, free_port

OWN = "llama.cpp's own server"
PYTHON = "llama_cpp.server"
_PEERS = Path(".venv-peers/bin/python")
_READY_TIMEOUT_S = 60.0
_LOOK_S = 0.05


def python_with_server(named: Path | None = None) -> Path | None:
    """A Python that has llama_cpp.server; None where none of those we know has."""
    for python in [named] if named else [Path(sys.executable), _PEERS]:
        if python.exists():
            found = subprocess.run([python, "-c", "import llama_cpp.server.app"], capture_output=True, check=False)
            if found.returncode == 0:
                return python
    return None


@asynccontextmanager
async def serving(name: str, model: Path, *, folder: Path, python: Path | None = None) -> AsyncIterator[int]:
    """The port of one of them, with its model loaded; its log is in `folder`."""
    port, options = free_port(), LlamaCppOptions()
    argv: list[str] = [sys.executable, "-m", "benchmarks.peers.llama_servers", str(port), str(model)]
    if name == PYTHON:
        argv = [str(python), "-m", "llama_cpp.server", "--model", str(model), "--host", HOST, "--port", str(port)]
        argv += ["--n_ctx", str(options.context_window), "--n_threads", "1", "--n_threads_batch", "1"]
    log = folder / f"{name.split(maxsplit=1)[0]}.log"
    ready = partial(_until_loaded, port, "/v1/models" if name == PYTHON else "/health")
    child = Child(name, argv, log=log, ready=ready, ready_timeout_s=_READY_TIMEOUT_S, grace_s=1.0)
    async with child:
        yield port


async def _until_loaded(port: int, path: str) -> None:
    """Returns once `path` is there: it listens before it has its model."""
    async with httpx.AsyncClient() as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://{HOST}:{port}{path}")).is_success:
                    return
            await asyncio.sleep(_LOOK_S)


def _serve(port: int, model: str) -> None:
    import xllamacpp  # noqa: PLC0415 - only this process needs the library

    options = LlamaCppOptions()
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port = [HOST], port
    params.n_parallel = options.slots_for(Path(model))
    params.n_ctx = params.n_parallel * options.context_window
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.fit_params = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    assert server.listening_address
    signal.pause()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
