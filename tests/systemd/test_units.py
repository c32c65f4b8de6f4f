"""The units are understood, by systemd 249 too, kept as tight as they claim, and agree with the settings."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.commands.settings import template
from agent.settings import Settings
from bridge.settings import BridgeSettings

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parents[2] / "systemd"
AGENT, BRIDGE, BROKER = "edgevoice-agent.service", "edgevoice-bridge.service", "mosquitto.service"
UNITS = (AGENT, BRIDGE, "edgevoice.target", f"{BROKER}.d/edgevoice.conf")
DEBIANS_BROKER = """\
[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
ExecStartPre=/bin/mkdir -m 740 -p /var/log/mosquitto
ExecStartPre=/bin/chown mosquitto /var/log/mosquitto
"""
SINCE_250 = {
    "BindLogSockets",
    "CoredumpReceive",
    "DelegateSubgroup",
    "ExitType",
    "ExtensionDirectories",
    "ImportCredential",
    "LoadCredentialEncrypted",
    "LogFilterPatterns",
    "MemoryKSM",
    "MemoryPressureThresholdSec",
    "MemoryPressureWatch",
    "MemoryZSwapMax",
    "NFTSet",
    "OpenFile",
    "PrivatePIDs",
    "ReloadSignal",
    "RestartMaxDelaySec",
    "RestartMode",
    "RestartSteps",
    "RestrictFileSystems",
    "RestrictNetworkInterfaces",
    "RootEphemeral",
    "SetCredentialEncrypted",
    "SurviveFinalKillSignal",
}


def lines(unit: str) -> list[tuple[str, str]]:
    """Every directive and its value."""
    text = (FOLDER / unit).read_text(encoding="utf-8")
    found = [line.partition("=") for line in text.splitlines() if line and line[0] not in "#["]
    return [(name, value) for name, _, value in found]


def value(unit: str, directive: str) -> str:
    """The value of a directive that stands there once."""
    [only] = [each for name, each in lines(unit) if name == directive]
    return only


def environment(unit: str) -> dict[str, str]:
    """What the unit sets by `Environment=`."""
    return dict(each.split("=", 1) for name, each in lines(unit) if name == "Environment")


@pytest.fixture
def installed(tmp_path):
    """The units in a folder, over Debian's one of the broker; programs that are not here stand in for themselves."""
    shutil.copytree(FOLDER, tmp_path / "units")
    (tmp_path / "units" / BROKER).write_text(DEBIANS_BROKER)
    for unit in (tmp_path / "units").rglob("*.*"):
        if unit.suffix in {".service", ".conf"} and unit.is_file():
            unit.write_text(re.sub(r"(?m)^(Exec\w+=-?)/\S+", r"\1/bin/true", unit.read_text()))
    return tmp_path / "units"


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs systemd-analyze; skips where it is not installed or knows no offline analysis yet."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: sudo apt-get install systemd")
    argv = [program, *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "unrecognized option '--offline" in done.stderr:
        pytest.skip("this systemd-analyze is older than 250: no --offline")
    return done


def test_systemd_understands_every_line(installed):
    done = analyze("verify", *(installed / unit for unit in (AGENT, BRIDGE, "edgevoice.target", BROKER)))

    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_that_systemd_does_not_know_would_be_seen(installed):
    with (installed / BROKER).with_name(f"{BROKER}.d").joinpath("edgevoice.conf").open("a") as conf:
        conf.write("Imagined=yes\n")

    assert "Imagined" in analyze("verify", installed / BROKER).stderr


@pytest.mark.parametrize(("unit", "tenths"), [(AGENT, 20), (BRIDGE, 15), (BROKER, 25)])
def test_the_exposure_stays_below_its_limit(unit, tenths, installed):
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={tenths}", installed / unit)

    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", UNITS)
def test_nothing_in_it_is_newer_than_systemd_249(unit):
    assert not {name for name, _ in lines(unit)} & SINCE_250
    assert not [each for _, each in lines(unit) if re.search(r"%[dyYqD]", each)], "specifiers of 251 and later"


@pytest.mark.parametrize(("unit", "variable"), [(AGENT, "EDGEVOICE_MQTT"), (BRIDGE, "EDGEVOICE_BRIDGE_MQTT")])
def test_the_password_is_a_credential_and_nothing_else(unit, variable):
    name, _, file = value(unit, "LoadCredential").partition(":")

    assert Path(file).is_relative_to("/etc/edgevoice")
    assert environment(unit)[f"{variable}__PASSWORD_FILE"] == f"%t/credentials/%n/{name}"
    assert f"{variable}__PASSWORD" not in environment(unit)


@pytest.mark.parametrize("file", [AGENT, BRIDGE, "agent.env", "bridge.env"])
def test_every_setting_it_names_exists(file):
    named = set(re.findall(r"^#?(?:Environment=)?(EDGEVOICE_\w+)=", (FOLDER / file).read_text(), re.MULTILINE))
    known = set(re.findall(r"^# (EDGEVOICE_\w+)=", template(), re.MULTILINE))

    assert named
    assert named <= known


def test_systemd_waits_longer_than_the_services_take():
    assert int(value(AGENT, "TimeoutStopSec")) > Settings.model_construct().graceful_shutdown_s
    assert int(value(BRIDGE, "TimeoutStopSec")) > BridgeSettings.model_construct().graceful_shutdown_s


def test_the_bridge_may_have_as_many_callers_as_it_lets_wait():
    assert int(value(BRIDGE, "LimitNOFILE")) >= 2 * BridgeSettings.model_construct().max_waiting + 200


@pytest.mark.parametrize("unit", [AGENT, BRIDGE])
def test_a_wrong_setting_ends_it_and_anything_else_starts_it_again(unit):
    assert value(unit, "Restart") == "always"
    assert value(unit, "RestartPreventExitStatus") == "78"
    assert value(unit, "Type") == "notify"
    assert int(value(unit, "WatchdogSec")) > 0
