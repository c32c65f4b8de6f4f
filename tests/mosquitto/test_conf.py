"""The broker runs on the shipped files: what they must not lose, and that only places differ."""

import pytest

from agent.provision.conf import render, shipped

PLACES = {"listener", "password_file", "acl_file", "persistence_location", "include_dir"}


def directives(conf: str) -> list[tuple[str, str]]:
    lines = (line for line in conf.splitlines() if line and not line.startswith("#"))
    return [(name, value) for name, _, value in (line.partition(" ") for line in lines)]


@pytest.mark.anyio
@pytest.mark.usefixtures("broker")
async def test_the_rendered_files_are_the_shipped_ones_but_for_places(broker_folder):
    ours = (broker_folder / "broker" / "mosquitto.conf").read_text()
    theirs = shipped("mosquitto.conf")

    differing = [a for a, b in zip(ours.splitlines(), theirs.splitlines(), strict=True) if a != b]
    assert {line.split()[0] for line in differing} == PLACES
    assert [name for name, _ in directives(ours)] == [name for name, _ in directives(theirs)]
    assert (broker_folder / "broker" / "acl").read_text() == shipped("acl")


def test_what_the_shipped_files_must_not_lose():
    conf = directives(shipped("mosquitto.conf"))
    settings = dict(conf)

    assert settings["listener"] == "1883 127.0.0.1"
    assert settings["allow_anonymous"] == "false"
    assert settings["set_tcp_nodelay"] == "true"
    assert settings["per_listener_settings"] == "false"
    assert int(settings["max_packet_size"]) == 8_000_000
    assert "message_size_limit" not in settings
    assert "%c" not in "".join(line for line in shipped("acl").splitlines() if not line.startswith("#"))
    assert conf[0] == ("per_listener_settings", "false"), "it must stand above the listener"


def test_what_the_listeners_for_devices_must_not_lose():
    with_password, with_certificate = [
        dict(directives(f"listener {text}")) for text in shipped("devices.conf").split("\nlistener ")[1:]
    ]

    for listener in (with_password, with_certificate):
        assert listener["use_username_as_clientid"] == "true", "else any device takes another one's session"
        assert listener["tls_version"] == "tlsv1.2"
    assert with_password["listener"] == "8883"
    assert with_certificate["listener"] == "8884"
    assert with_certificate["require_certificate"] == with_certificate["use_identity_as_username"] == "true"
    assert with_certificate["crlfile"].endswith("/devices/revoked.pem")
    assert directives(shipped("mosquitto.conf"))[-1] == ("include_dir", "/etc/mosquitto/conf.d")


def test_render_changes_only_the_named_directives():
    conf = "# listener of old\nlistener 1883\n\nuser mosquitto\n"

    assert render(conf, {"listener": "7 x"}) == "# listener of old\nlistener 7 x\n\nuser mosquitto\n"
