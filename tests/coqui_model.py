"""Writes tiny Coqui voices with random weights: they speak noise, as long as their text, and weigh a megabyte.

Run as a program, since importing Coqui and torch is nothing for the tests' own process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from agent.engines.tts_coqui import load_library

RATE_HZ = 16_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PHONEMES = "abdefhijklmnoprstuvwzæðŋɐɑɒɔəɚɛɜɡɪɹɾʃʊʌʒʔˈˌːθɬᵻ"  # noqa: RUF001 - such are phonemes
ELSEWHERE = "/a/machine/that/trained/it"
"""Where configurations say their companions are, as those of published voices do."""

_ROOT = Path(__file__).parents[1]


def write_voices(folder: Path) -> None:
    """Makes the default voice below `folder`, and a `choir`, its last singer no number, and one `spelled` by espeak."""
    command = [sys.executable, "-m", "tests.coqui_model", str(folder)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _write(folder: Path, *, speakers: tuple[str, ...] = (), phonemes: bool = False) -> None:
    folder.mkdir(parents=True)
    torch = import_module("torch")
    torch.manual_seed(len(speakers))
    config = _config(folder, speakers=speakers, phonemes=phonemes)
    model = import_module("TTS.tts.models.vits").Vits(config)
    model.duration_predictor.proj.bias.data.fill_(1.4)  # four frames a sound, so that speed has something to change
    if speakers:
        model.emb_g.weight.data[-1] = float("nan")
    torch.save({"model": model.state_dict()}, folder / "model_file.pth")
    said = config.to_dict()
    if speakers:
        said["speakers_file"] = said["model_args"]["speakers_file"] = f"{ELSEWHERE}/speaker_ids.json"
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")


def _config(folder: Path, *, speakers: tuple[str, ...], phonemes: bool) -> Any:
    configs = import_module("TTS.tts.configs.vits_config")
    shared = import_module("TTS.tts.configs.shared_configs")
    arguments = configs.VitsArgs(
        num_chars=0,  # counted from the characters
        init_discriminator=False,
        use_sdp=False,
        hidden_channels=32,
        hidden_channels_ffn_text_encoder=32,
        num_heads_text_encoder=1,
        num_layers_text_encoder=1,
        num_layers_flow=1,
        num_layers_posterior_encoder=1,
        upsample_initial_channel_decoder=16,
        upsample_rates_decoder=[8, 8, 4],
        upsample_kernel_sizes_decoder=[16, 16, 8],
        resblock_type_decoder="2",
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3]],
    )
    if speakers:
        names = folder / "speaker_ids.json"
        names.write_text(json.dumps({name: number for number, name in enumerate(speakers)}), encoding="utf-8")
        arguments.use_speaker_embedding = True
        arguments.speakers_file = str(names)
        arguments.num_speakers = len(speakers)
        arguments.speaker_embedding_channels = 8
        arguments.condition_dp_on_speaker = False  # nobody sings for not-a-number seconds
    return configs.VitsConfig(
        model_args=arguments,
        audio=shared.BaseAudioConfig(sample_rate=RATE_HZ, do_trim_silence=False),  # noise is not to be trimmed away
        use_phonemes=phonemes,
        phonemizer="espeak" if phonemes else None,
        phoneme_language="en-us",
        text_cleaner="english_cleaners",
        characters=shared.CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            pad="_",
            eos="~",
            bos="^",
            blank="@",
            characters=PHONEMES if phonemes else LETTERS,
            punctuations="!'(),-.:;? ",
            phonemes=None,
        ),
        add_blank=True,
        test_sentences=[],
    )


if __name__ == "__main__":
    load_library()
    _below = Path(sys.argv[1])
    _write(_below / "coqui-ljspeech-vits")
    _write(_below / "choir", speakers=("anna", "bert", "cleo\n", "numberless"))
    _write(_below / "spelled", phonemes=True)
