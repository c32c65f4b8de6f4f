"""A model in another quantization: the same model but for the type of its weights, whole or not there at all."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.__main__ import main
from agent.contract.terms import Stage
from agent.engines import registry
from agent.engines.host import host_for
from agent.engines.settings import EngineSettings
from agent.model_files.gguf import check_gguf
from agent.models import progress, requantize
from agent.models.errors import PullError
from agent.settings import Settings
from agent.signals import INTERRUPTED
from tests.engines.asking import answer, text_of

gguf = pytest.importorskip("gguf", reason="pip install 'edgevoice[models]'")
Kind = gguf.GGMLQuantizationType

pytestmark = [pytest.mark.once, pytest.mark.anyio]

RNG = np.random.default_rng(7)
TENSORS = {
    "token_embd.weight": (RNG.normal(size=(40, 64)), Kind.Q8_0),
    "blk.0.attn_q.weight": (RNG.normal(size=(96, 64)), Kind.Q4_1),
    "blk.0.ffn_down_exps.weight": (RNG.normal(size=(3, 8, 64)) * 1e-3, Kind.BF16),
    "blk.0.nothing.weight": (np.zeros((2, 32)), Kind.Q4_1),
    "blk.0.narrow.weight": (RNG.normal(size=(4, 24)), Kind.BF16),
    "blk.0.attn_norm.weight": (RNG.normal(size=64), Kind.F32),
    "blk.0.attn_q.bias": (RNG.normal(size=64), Kind.F16),
    "blk.0.ffn_gate_inp.weight": (RNG.normal(size=(3, 64)), Kind.F32),
}
STAYS = {"blk.0.attn_norm.weight": Kind.F32, "blk.0.ffn_gate_inp.weight": Kind.F32, "blk.0.attn_q.bias": Kind.F32}
KINDS = {"q8_0": Kind.Q8_0, "f16": Kind.F16, "q4_0": Kind.Q4_0}
TEXT = "{{ messages }} \N{SNOWMAN}"
TOKENS = [b"a", b"", b"\xff\xfe", TEXT.encode()]  # bytes, as byte-level vocabularies have them


def tiny_model(path, tensors=TENSORS, **further):
    """Writes a model that no engine would load, with all that a file may have."""
    writer = gguf.GGUFWriter(path, "tiny")
    writer.add_custom_alignment(64)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_chat_template(TEXT)
    writer.add_token_list(TOKENS)
    writer.add_array("tiny.scales", [0.5, 2.0])
    writer.add_float32("tiny.epsilon", 1e-5)
    writer.add_bool("tiny.causal", val=True)
    for name, value in further.items():
        writer.add_uint16(name.replace("_", "."), value)
    for name, (values, kind) in tensors.items():
        stored = gguf.quantize(values.astype(np.float32), kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(path):
    """Every tensor of a file, as numbers, and its type."""
    return {
        tensor.name: (gguf.dequantize(tensor.data, tensor.tensor_type), tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def metadata(path):
    """Everything else in it, as bytes."""
    fields = gguf.GGUFReader(path).fields.values()
    return {
        field.name: (field.types, [field.parts[index].tobytes() for index in field.data])
        for field in fields
        if not field.name.startswith("GGUF.")
    }


@pytest.fixture
def _at_home(monkeypatch, models_dir):
    models_dir.mkdir(parents=True)
    monkeypatch.setenv("EDGEVOICE_HOME", str(models_dir.parent))
    monkeypatch.setenv("EDGEVOICE_ALLOW_EPHEMERAL", "true")


@pytest.fixture
def tiny(_at_home, models_dir):
    """A model in the models folder, and its terms."""
    path = models_dir / "tiny" / "model.gguf"
    path.parent.mkdir()
    tiny_model(path)
    (path.parent / "LICENSE").write_text("do as you like")
    return path


@pytest.mark.parametrize(("to", "error"), [("q8_0", 0.01), ("f16", 0.001), ("q4_0", 0.15)])
def test_weights_change_their_type_and_nothing_else_changes(tiny, models_dir, to, error):
    assert main(["models", "requantize", "tiny", "--to", to]) == 0

    made = models_dir / f"tiny-{to}" / "model.gguf"
    check_gguf(made)
    assert (made.parent / "LICENSE").read_text() == "do as you like"
    before, after = weights(tiny), weights(made)
    kinds = dict.fromkeys(TENSORS, KINDS[to]) | STAYS | {"blk.0.narrow.weight": Kind.F16}
    if to == "q4_0":
        kinds["token_embd.weight"] = Kind.Q8_0
    assert {name: kind for name, (_, kind) in after.items()} == kinds
    for name, (values, _) in before.items():
        assert np.abs(after[name][0] - values).max() <= error * np.ptp(values), name
    told, tells = metadata(tiny), metadata(made)
    assert tells.pop("general.file_type")[1] == [np.uint32({"q8_0": 7, "f16": 1, "q4_0": 2}[to]).tobytes()]
    assert tells.pop("general.quantization_version")
    assert tells == {name: value for name, value in told.items() if name != "general.file_type"}


@pytest.mark.usefixtures("tiny")
def test_what_was_made_is_listed_verified_made_again_and_deleted(models_dir, capsys):
    assert main(["models", "requantize", "tiny"]) == 0
    told = capsys.readouterr().out
    assert "tiny-q8_0 is ready" in told
    assert "100 % of" in told
    assert main(["models", "list", "--json"]) == 0
    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    (made,) = (model for name, model in listed.items() if name.startswith("tiny"))
    assert (made["here"], made["from"], made["engine"]) == ("yes", "made of tiny", "llamacpp")
    assert made["bytes"] == sum(path.stat().st_size for path in Path(made["folder"]).glob("[Lm]*"))

    assert main(["models", "requantize", "tiny"]) == 0
    assert "already there" in capsys.readouterr().out
    path = models_dir / "tiny-q8_0" / "model.gguf"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    assert main(["models", "verify"]) == 1
    assert "sha256 differs" in capsys.readouterr().out
    assert main(["models", "pull", "--verify", "tiny-q8_0"]) == 0
    assert path.read_bytes() == whole
    assert main(["models", "rm", "--yes", "tiny-q8_0"]) == 0
    assert [folder.name for folder in models_dir.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("_at_home")
def test_a_file_from_elsewhere_by_its_path(tmp_path, models_dir, capsys):
    tiny_model(tmp_path / "found.gguf")
    (tmp_path / "LICENSE").write_text("of something else")

    assert main(["models", "requantize", str(tmp_path / "found.gguf")]) == 0

    assert {path.name for path in (models_dir / "found-q8_0").iterdir()} == {"model.gguf", "edgevoice.json"}
    tiny_model(tmp_path / "two words.gguf")
    assert main(["models", "requantize", str(tmp_path / "two words.gguf")]) == 1
    assert "'two words-q8_0' cannot be a model's name" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_who_interrupts_it_finds_nothing_of_it(models_dir, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.Tracker, "advance", interrupted)

    assert main(["models", "requantize", "tiny"]) == INTERRUPTED
    assert "is not there yet; run the command again" in capsys.readouterr().out
    assert [path.name for path in models_dir.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_written_anew_says_why(models_dir, monkeypatch, capsys):
    def refused(name, *options):
        assert main(["models", "requantize", name, *options]) == 1
        return capsys.readouterr().err

    def put(name, content=b"", **further):
        folder = models_dir / name
        folder.mkdir()
        path = folder / "model.gguf"
        path.write_bytes(content) if content else tiny_model(path, **further)

    assert "no model at" in refused("nothing")
    put("web", b"<html>" * 1_000)
    assert "is not a GGUF model" in refused("web")
    (models_dir / "mlc").mkdir()
    assert "mlc has no model.gguf; only models of llamacpp" in refused("mlc")
    put("part", split_count=2)
    assert "is one part of a model; llama.cpp's `llama-gguf-split --merge` joins them" in refused("part")
    put("exact", tensors={"a.weight": (np.ones((32, 64)), Kind.F32)})
    assert "would change: it holds F32 already" in refused("exact")
    put("huge", tensors={"a.weight": (np.full((32, 64), 1e5), Kind.BF16)})
    assert "a.weight in " in (told := refused("huge", "--to", "f16"))
    assert "too large for f16; take q8_0" in told
    (models_dir / "tiny-q4_0").mkdir()
    assert "tiny-q4_0 is there, and was not made of tiny; `edgevoice models rm" in refused("tiny", "--to", "q4_0")
    monkeypatch.setattr(requantize, "find_spec", lambda _: None)
    assert "pip install 'edgevoice[models]'" in refused("tiny")
    assert not list(models_dir.glob("*-q8_0")) + list(models_dir.glob(".*"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path, data):
    from agent.models.gguf_weights import GgufWeights  # noqa: PLC0415 - needs gguf

    path = tmp_path / "tiny.gguf"
    if not path.exists():
        tiny_model(path)
    whole = path.read_bytes()
    end = len(whole) if data.draw(st.booleans()) else data.draw(st.integers(0, len(whole) - 1))
    content = bytearray(whole[:end])
    for place, byte in data.draw(st.dictionaries(st.integers(0, 1_500), st.integers(0, 255), max_size=4)).items():
        if place < len(content):
            content[place] = byte
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(content)

    with suppress(PullError):
        made = GgufWeights(damaged, "q8_0")
        made.write(tmp_path / "made.gguf", progress.Tracker(lambda *_: None, None))


@pytest.mark.embedded
@pytest.mark.usefixtures("_at_home")
async def test_the_demos_model_answers_with_eight_bits(models_dir, demo_model):
    assert main(["models", "requantize", str(demo_model)]) == 0

    name = "smollm2-135m-q8_0"
    options = {"model": name, "context_window": 512}
    host = host_for(Stage.LLM, EngineSettings(name="llamacpp", options=options), models_dir, on_change=lambda: None)
    try:
        await host.start()
        assert host.info.model == name
        assert "Paris" in text_of(await answer(host, "What is the capital of France?", max_tokens=24))
    finally:
        await host.close()


@pytest.fixture(scope="module")
def demo_model():
    """The file of the model that the demo talks to; skips the test where that cannot be loaded here."""
    # Before any test has a home of its own.
    leaf = registry.leaf(Stage.LLM, "llamacpp")
    models_dir = Settings().models_dir
    if reason := leaf.missing(leaf.Options(), models_dir):
        pytest.skip(reason)
    return models_dir / "smollm2-135m" / "model.gguf"
