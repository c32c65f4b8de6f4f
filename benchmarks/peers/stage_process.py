"""One stage by its bare library, `python -m benchmarks.peers.stage_process STAGE [MODEL]`: loaded, asked once, ended.

As programs do that start a command line for every request. `pocketsphinx` and `whispercpp` read 16-bit samples at
16 kHz, `llamacpp` the JSON of a chat completion; all write text. Nothing of ours is imported: it would cost time.
"""

from __future__ import annotations

import json
import os
import sys


def _pocketsphinx(_model: str) -> str:
    from pocketsphinx import Decoder  # noqa: PLC0415 - each stage needs its own library only

    decoder = Decoder(loglevel="FATAL", samprate=16_000)
    decoder.start_utt()
    decoder.process_raw(sys.stdin.buffer.read(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return str(heard.hypstr) if heard else ""


def _whispercpp(model: str) -> str:
    import numpy as np  # noqa: PLC0415
    from pywhispercpp.model import Model  # noqa: PLC0415

    samples = np.frombuffer(sys.stdin.buffer.read(), dtype="<i2").astype(np.float32) / np.float32(32_768)
    threads = max(1, (os.cpu_count() or 2) - 1)
    loaded = Model(model, redirect_whispercpp_logs_to=None, print_progress=False, language="en", n_threads=threads)
    return " ".join(segment.text for segment in loaded.transcribe(samples))


def _llamacpp(model: str) -> str:
    import xllamacpp  # noqa: PLC0415

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_parallel, params.n_ctx = 1, 2_048
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = params.fit_params = False
    params.verbosity = -1
    pieces: list[str] = []

    def take(chunk: dict[str, object]) -> bool:
        pieces.append(json.dumps(chunk))
        return False

    xllamacpp.Server(params).handle_chat_completions(json.load(sys.stdin), take)
    return str(json.loads(pieces[-1])["choices"][0]["message"]["content"])


_STAGES = {"pocketsphinx": _pocketsphinx, "whispercpp": _whispercpp, "llamacpp": _llamacpp}

if __name__ == "__main__":
    stage, *model = sys.argv[1:]
    sys.stdout.write(_STAGES[stage]("".join(model)))
    sys.stdout.flush()
    os._exit(0)  # freeing llama.cpp's server may take long, and is nobody's to wait for
