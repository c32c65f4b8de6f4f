"""The way to the broker, before MQTT: files, name, port, TLS."""

from __future__ import annotations

import shlex
import shutil
import socket
import ssl

from agent.doctor.finding import Finding, fail
from agent.mqtt.settings import MqttSettings

_CONNECT_S = 2.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SBIN = "/usr/local/sbin:/usr/sbin"


def reach(mqtt: MqttSettings, name: str = "broker") -> Finding | None:
    """Why no MQTT can be spoken there; None where it can."""
    try:
        mqtt.check_files()
    except OSError as exc:
        fix = f"ls -l {shlex.quote(str(exc.filename))}   # it must be readable for this user"
        return fail(name, f"{exc.filename} cannot be read: {exc.strerror}", fix)
    try:
        with _connected(mqtt) as plain:
            return _tls(mqtt, plain, name) if mqtt.tls else None
    except OSError as exc:
        return _unreachable(mqtt, exc, name)


def _connected(mqtt: MqttSettings) -> socket.socket:
    return socket.create_connection((mqtt.host, mqtt.port), timeout=_CONNECT_S)


def _unreachable(mqtt: MqttSettings, exc: OSError, name: str) -> Finding:
    where, host = f"{mqtt.host}:{mqtt.port}", shlex.quote(mqtt.host)
    if isinstance(exc, socket.gaierror):
        return fail(name, f"{mqtt.host} is not a host that is known here: {exc.strerror}", f"getent hosts {host}")
    if isinstance(exc, ConnectionRefusedError):
        return fail(name, f"nobody listens on {where}", _start(mqtt))
    why = f"no answer within {_CONNECT_S:g} s" if isinstance(exc, TimeoutError) else exc.strerror or str(exc)
    return fail(name, f"{where} cannot be reached: {why}", f"ping -c 3 {host}   # then its firewall")


def _start(mqtt: MqttSettings) -> str:
    if mqtt.host not in _LOOPBACK:
        return f"ssh {shlex.quote(mqtt.host)} systemctl status mosquitto"
    if shutil.which("mosquitto", path=_SBIN) or shutil.which("mosquitto"):
        return "sudo systemctl start mosquitto   # only to try things out: edgevoice up, with a broker of its own"
    return "sudo apt-get install mosquitto   # then mosquitto/README.md"


def _tls(mqtt: MqttSettings, plain: socket.socket, name: str) -> Finding | None:
    where, host = f"{mqtt.host}:{mqtt.port}", shlex.quote(mqtt.host)
    look = f"openssl s_client -connect {host}:{mqtt.port} </dev/null"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        _load(mqtt, context)
    except ssl.SSLError as exc:
        files = ", ".join(str(file) for file in (mqtt.ca_file, mqtt.cert_file, mqtt.key_file) if file)
        return fail(
            name,
            f"no usable certificates in {files}: {exc.reason or exc}",
            "openssl x509 -noout -text -in FILE   # each of them",
        )
    try:
        context.wrap_socket(plain, server_hostname=mqtt.host).close()
    except ssl.SSLCertVerificationError as exc:
        return fail(name, f"the certificate of {where} is not trusted: {exc.verify_message}", look)
    except OSError as exc:  # Mosquitto hangs up on what it does not understand
        return fail(name, f"no TLS on {where}: {getattr(exc, 'reason', None) or exc.strerror or exc}", look)
    return None


def _load(mqtt: MqttSettings, context: ssl.SSLContext) -> None:
    if mqtt.ca_file:
        context.load_verify_locations(mqtt.ca_file)
    else:
        context.load_default_certs()
    if mqtt.cert_file:
        # A key that is locked would be asked for at the terminal.
        context.load_cert_chain(mqtt.cert_file, mqtt.key_file, password=lambda: "")
