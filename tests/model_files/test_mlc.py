"""An MLC model is found wherever people keep it, and judged before MLC hangs on it."""

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from agent.model_files.elf import elf_fault, elf_machine, this_machine
from agent.model_files.fault import ModelFault
from agent.model_files.mlc import ModelFiles, find_model
from agent.model_files.mlc_config import CONFIG, ChatConfig
from tests.engines.mlc_models import FOREIGN_MACHINE, SHARD_BYTES, make_library, make_model, make_whole_model

NAME = "Llama-2-7b-chat-hf-q4f16_1"

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="libraries are ELF files on Linux only")


@pytest.fixture(autouse=True)
def cwd(tmp_path, monkeypatch):
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def models_dir(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _no_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("MLC_LLM_HOME", str(tmp_path / "mlc"))
    monkeypatch.delenv("MLC_LLM_READONLY_WEIGHT_CACHE", raising=False)


def found(model, models_dir, model_lib=None, *, device="cpu"):
    """Folder and library that were found."""
    files = find_model(model, model_lib, models_dir, device=device)
    return files.folder, files.library


@pytest.mark.parametrize("place", [f"{NAME}-cpu.so", "lib.so", "lib/whatever.so"])
def test_a_model_in_the_models_folder(models_dir, place):
    folder = make_model(models_dir / NAME)
    library = make_library(folder / place)
    assert found(NAME, models_dir) == (folder, library)


@pytest.mark.parametrize("base", ["models_dir", "cwd"])
def test_a_prebuilt_model_of_old(request, models_dir, base):
    dist = request.getfixturevalue(base) / "dist" / "prebuilt"
    folder = make_model(dist / f"mlc-chat-{NAME}", listing="ndarray-cache.json")
    make_library(dist / "lib" / "Other-q4f16_1-cpu.so")
    make_library(dist / "lib" / f"{NAME}-vulkan.so")
    library = make_library(dist / "lib" / f"{NAME}-cpu.so")
    assert found(NAME, models_dir) == (folder, library)
    assert find_model(NAME, None, models_dir, device="cpu").name == NAME


@pytest.mark.parametrize("base", ["models_dir", "cwd"])
def test_a_model_compiled_as_of_old(request, models_dir, base):
    dist = request.getfixturevalue(base) / "dist"
    folder = make_model(dist / NAME / "params", listing="ndarray-cache.json")
    library = make_library(dist / NAME / f"{NAME}-cuda.so")
    assert found(NAME, models_dir, device="cuda") == (folder, library)
    assert find_model(NAME, None, models_dir, device="cuda").name == NAME


@pytest.mark.parametrize("named", ["", CONFIG])
def test_a_pair_of_paths(tmp_path, models_dir, named):
    folder = make_model(tmp_path / "elsewhere" / "weights")
    library = make_library(tmp_path / "built" / "model.so")
    assert found(str(folder / named), models_dir, str(library)) == (folder, library)
    assert found(os.path.relpath(folder / named), models_dir, os.path.relpath(library))[1].samefile(library)


@pytest.mark.parametrize("cache", ["shared/hf/mlc-ai", "mlc/model_weights/hf/mlc-ai", "models", "models/mlc-ai"])
def test_a_model_of_hugging_face_that_was_fetched(tmp_path, models_dir, monkeypatch, cache):
    monkeypatch.setenv(
        "MLC_LLM_READONLY_WEIGHT_CACHE", os.pathsep.join(map(str, (tmp_path / "no", tmp_path / "shared")))
    )
    folder = make_whole_model(tmp_path / cache / f"{NAME}-MLC")
    assert found(f"HF://mlc-ai/{NAME}-MLC", models_dir)[0] == folder


def test_mlc_keeps_its_models_in_the_user_s_cache(tmp_path, models_dir, monkeypatch):
    monkeypatch.delenv("MLC_LLM_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = make_whole_model(tmp_path / "cache" / "mlc_llm" / "model_weights" / "hf" / "mlc-ai" / NAME)
    assert found(f"HF://mlc-ai/{NAME}", models_dir)[0] == folder


def test_every_path_tried_is_listed(tmp_path, cwd, models_dir):
    with pytest.raises(ModelFault) as caught:
        find_model(NAME, None, models_dir, device="cpu")
    for base in (models_dir, cwd):
        for place in (NAME, f"dist/prebuilt/mlc-chat-{NAME}", f"dist/{NAME}/params"):
            assert str(base / place) in str(caught.value)
    assert f"`edgevoice models pull {NAME}` fetches" in str(caught.value)
    with pytest.raises(ModelFault, match=rf"{tmp_path}/mlc/model_weights/hf/a/b, .*models pull HF://a/b` fetches"):
        find_model("HF://a/b", None, models_dir, device="cpu")


def test_a_missing_library_is_told_with_the_command_that_makes_it(models_dir):
    folder = make_model(models_dir / NAME)
    command = f"mlc_llm compile {folder} --device cuda -o {folder / NAME}-cuda.so"
    with pytest.raises(ModelFault) as caught:
        find_model(NAME, None, models_dir, device="cuda")
    assert f"tried {folder}/*.so, {folder}/lib/*.so; `{command}` makes it" in str(caught.value)
    with pytest.raises(ModelFault) as caught:
        find_model(NAME, "gone.so", models_dir, device="cuda", jit=True)
    assert f"{Path.cwd()}/gone.so, {models_dir}/gone.so; `{command}`" in str(caught.value)
    assert find_model(NAME, None, models_dir, device="cuda", jit=True).library is None


def test_a_library_for_another_device_is_not_taken(models_dir):
    folder = make_model(models_dir / NAME)
    vulkan = make_library(folder / f"{NAME}-vulkan.so")
    with pytest.raises(ModelFault, match=rf"no library of {NAME} for cpu.*for another device: {vulkan}"):
        find_model(NAME, None, models_dir, device="cpu")
    nameless, cpu = make_library(folder / "a.so"), make_library(folder / f"{NAME}-cpu.so")
    assert found(NAME, models_dir)[1] == cpu
    assert found(NAME, models_dir, device="cuda")[1] == nameless
    assert found(NAME, models_dir, str(vulkan))[1] == vulkan


def test_paths_with_spaces_make_a_command_that_works(models_dir):
    folder = make_model(models_dir / "my model")
    command = ModelFiles(folder, ChatConfig.of(folder), "cuda").compile_command
    assert shlex.split(command)[2] == str(folder)


@pytest.mark.parametrize("listing", ["tensor-cache.json", "ndarray-cache.json"])
def test_a_whole_model_has_no_faults(models_dir, listing):
    folder = make_whole_model(models_dir / NAME, listing=listing)
    files = find_model(NAME, None, models_dir, device="cpu")
    assert list(files.faults()) == []
    assert files.weights == [(folder / f"params_shard_{number}.bin", SHARD_BYTES) for number in range(2)]


def damage(folder, what):
    shard, listing = folder / "params_shard_1.bin", folder / "tensor-cache.json"
    {
        "no shard": shard.unlink,
        "short shard": lambda: shard.write_bytes(bytes(9)),
        "no list": listing.unlink,
        "cut list": lambda: listing.write_text('{"records": [{"dataPath"'),
        "odd list": lambda: listing.write_text('{"records": [{"dataPath": "x"}]}'),
        "no tokenizer": (folder / "tokenizer.json").unlink,
        "foreign library": lambda: make_library(folder / f"{NAME}-cpu.so", machine=FOREIGN_MACHINE),
        "cut library": lambda: make_library(folder / f"{NAME}-cpu.so", sections_at=100_000),
        "no library": lambda: (folder / f"{NAME}-cpu.so").write_text("PK"),
    }[what]()


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("no shard", r"no file .*params_shard_1\.bin; fetch the model again"),
        ("short shard", r"params_shard_1\.bin has 9 bytes instead of 48"),
        ("no list", r"no tensor-cache\.json or ndarray-cache\.json in"),
        ("cut list", r"cannot read .*tensor-cache\.json: JSONDecodeError"),
        ("odd list", r"cannot read .*tensor-cache\.json: KeyError: 'nbytes'"),
        ("no tokenizer", r"no file .*tokenizer\.json"),
        pytest.param(
            "foreign library",
            rf"was compiled for \S+, this machine is {this_machine()}; `mlc_llm compile \S+ --device cpu -o \S+` makes",
            marks=on_linux,
        ),
        pytest.param("cut library", r"is cut short; `mlc_llm compile", marks=on_linux),
        pytest.param("no library", r"is no library of Linux; `mlc_llm compile", marks=on_linux),
    ],
)
def test_a_broken_model_is_told_from_a_whole_one(models_dir, what, fault):
    damage(make_whole_model(models_dir / NAME), what)
    (told,) = find_model(NAME, None, models_dir, device="cpu").faults()
    assert re.search(fault, told), told


def test_every_fault_is_told(models_dir):
    folder = make_whole_model(models_dir / NAME, model_config={}, tokenizer_files=[])
    for what in ("no shard", "no tokenizer"):
        damage(folder, what)
    faults = list(find_model(NAME, None, models_dir, device="cpu").faults())
    assert [fault.split(";")[0].split(":")[0] for fault in faults] == [
        f"{folder / CONFIG} is of an MLC from before 2024",
        f"no file {folder}/params_shard_1.bin",
        f"no tokenizer in {folder}",
    ]


def test_a_config_that_cannot_be_read_says_where(models_dir):
    folder = make_whole_model(models_dir / NAME, context_window_size="long")
    with pytest.raises(ModelFault, match=rf"cannot read {folder / CONFIG}: context_window_size: Input should be"):
        find_model(NAME, None, models_dir, device="cpu")


@on_linux
def test_the_machine_of_a_library(tmp_path):
    assert elf_machine(Path(sys.executable)) == this_machine()
    assert elf_fault(Path(sys.executable)) is None
    assert elf_machine(make_library(tmp_path / "odd.so", machine=258)) == "ELF machine 258"
    (tmp_path / "text.so").write_text("hello")
    assert elf_machine(tmp_path / "text.so") is None
    with pytest.raises(FileNotFoundError):
        elf_machine(tmp_path / "gone.so")


def test_the_narrower_limit_counts(models_dir):
    folder = make_model(models_dir / NAME, window=4_096, chunk=2_048, batch=80)
    without = ModelFiles(folder, ChatConfig.of(folder), "cpu")
    assert vars(without.limits) == {"window": 4_096, "chunk": 2_048, "batch": 80}
    make_library(folder / "lib.so", window=8_192, chunk=512, batch=1)
    assert vars(find_model(NAME, None, models_dir, device="cpu").limits) == {"window": 4_096, "chunk": 512, "batch": 1}
    (folder / "lib.so").write_bytes(b"")
    with pytest.raises(ModelFault, match=r"cannot read .*lib\.so"):
        _ = find_model(NAME, None, models_dir, device="cpu").limits


def test_a_sliding_window_is_no_limit(models_dir):
    folder = make_model(models_dir / NAME, window=-1)
    assert ModelFiles(folder, ChatConfig.of(folder), "cpu").limits.window is None


def test_a_name_without_its_quantisation_gets_it(models_dir):
    folder = make_model(models_dir / "mistral")
    assert ModelFiles(folder, ChatConfig.of(folder), "cpu").name == "mistral-q4f16_1"


@pytest.mark.parametrize(
    ("described", "kv_bytes"),
    [
        ({"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4_096}, 131_072),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, 36_864),
        ({}, 0),
    ],
)
def test_memory_of_a_token(described, kv_bytes):
    config = ChatConfig.model_validate_json(json.dumps({"quantization": "q4f16_1", "model_config": described}))
    assert config.kv_bytes_per_token == kv_bytes
    config = ChatConfig.model_validate_json(json.dumps({"quantization": "q4f32_1", "model_config": described}))
    assert config.kv_bytes_per_token == 2 * kv_bytes
