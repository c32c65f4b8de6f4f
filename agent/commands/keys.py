"""Make, list and revoke the API keys of the HTTP bridge."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.contract.terms import HTTP_CLIENT_PREFIX
from agent.keys import is_key_name
from agent.mqtt.settings import MqttSettings
from agent.provision.acl import add_rules, remove_rules
from agent.provision.api_keys import add_key, broker_rules, revoke_key, rotate_key, stored_keys
from agent.provision.files import ProvisionError
from agent.provision.reload import BY_HAND, reload_broker
from agent.settings_reading import load_bridge

_ABOUT = """\
A key is a client of its own, `http-NAME`: its sessions, limits and replies are nobody else's. So the broker's ACL gets
two lines for each key, below the bridge's user, and is read again. A key is shown once, on stdout; its file has only
its hash. The running bridge follows the file. Where the file is, be it an empty one, every request needs a key, on the
loopback too: Authorization: Bearer ev_NAME_…

environment:
  EDGEVOICE_BRIDGE_KEYS_FILE       the file (default: /etc/edgevoice/bridge-keys for root, else bridge-keys in
                                   $XDG_DATA_HOME/edgevoice)
  EDGEVOICE_BRIDGE_BASE            first levels of every topic
  EDGEVOICE_BRIDGE_MQTT__USERNAME  the bridge's user in the ACL

exit status:
  0  done
  1  not done, or something is left to do at the broker by hand; stderr says what
"""


class _Bridge(Protocol):
    """As much of the bridge's settings as concerns us; the agent's code imports nothing of the bridge."""

    base: str
    client: str
    mqtt: MqttSettings

    @property
    def keys_path(self) -> Path:
        """The file of the API keys."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with which key, in which files."""
    parser.epilog = _ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    add = actions.add_parser("add", help="make a key, and show it this once")
    add.add_argument("name", type=_name, metavar="NAME", help="who it is for: A-Z, a-z, 0-9, _, . and -")
    add.add_argument("--operator", action="store_true", help="it may make operators' calls, too, at /v1/admin")

    rotate = actions.add_parser("rotate", help="give a key a new secret, and show it this once; the old one is void")
    revoke = actions.add_parser("revoke", help="take a key away; it is refused from then on")
    for action in (rotate, revoke):
        action.add_argument("name", type=_name, metavar="NAME", help="one of those that `list` shows")

    listing = actions.add_parser("list", help="show whose keys there are")
    listing.add_argument("--json", action="store_true", help="for programs")

    for action in (add, rotate, revoke, listing):
        action.add_argument("--file", type=Path, metavar="FILE", help="file of the keys (default: the bridge's)")
    for action in (add, rotate, revoke):
        action.add_argument(
            "--acl",
            type=Path,
            metavar="FILE",
            default=Path("/etc/mosquitto/acl"),
            help="the broker's ACL (default: %(default)s)",
        )
        action.add_argument(
            "--pid-file", type=Path, metavar="FILE", help="of the broker to reload (default: systemd's mosquitto)"
        )
        action.add_argument(
            "--no-broker", action="store_true", help="only say what the broker's ACL needs: it is on another machine"
        )


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 1 where the broker has to be told by hand."""
    settings: _Bridge = load_bridge()
    actions = {"add": _add, "rotate": _rotate, "revoke": _revoke, "list": _list}
    return actions[args.action](args, settings)


def _add(args: argparse.Namespace, settings: _Bridge) -> int:
    file = args.file or settings.keys_path
    return _hand_out(add_key(file, args.name, operator=args.operator), args, settings)


def _rotate(args: argparse.Namespace, settings: _Bridge) -> int:
    return _hand_out(rotate_key(args.file or settings.keys_path, args.name), args, settings)


def _hand_out(key: str, args: argparse.Namespace, settings: _Bridge) -> int:
    told = _Rules.of(args, settings).add()
    _say(f"The key of {args.name}, in {args.file or settings.keys_path} by its hash; it is not shown again:")
    print(key, flush=True)
    _say("It goes into the header `Authorization: Bearer …`; every request to the bridge needs one from now on.")
    return 0 if told else 1


def _revoke(args: argparse.Namespace, settings: _Bridge) -> int:
    file = args.file or settings.keys_path
    left = revoke_key(file, args.name)
    _say(f"The key of {args.name} is void.")
    if not left:
        _say(f"It was the last one, so nobody is let in. Without {file}, after a restart, the loopback needs no key.")
    return 0 if _Rules.of(args, settings).remove() else 1


def _list(args: argparse.Namespace, settings: _Bridge) -> int:
    file = args.file or settings.keys_path
    keys = stored_keys(file)
    if args.json:
        shown = [
            {"name": key.name, "client": key.client, "operator": key.operator, "since": key.since.isoformat()}
            for key in keys
        ]
        print(json.dumps(shown, indent=2))
        return 0
    for key in keys:
        print(f"{key.name:24} since {key.since.isoformat()}{'   operator' if key.operator else ''}")
    if not keys:
        print(f"There is no key in {file}; {'nobody is let in' if file.exists() else 'the loopback needs none'}.")
    return 0


@dataclass(frozen=True)
class _Rules:
    """What the broker's ACL says of one key."""

    acl: Path
    pid_file: Path | None
    by_hand: bool
    user: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, args: argparse.Namespace, settings: _Bridge) -> _Rules:
        """Those of the key that the arguments name."""
        return cls(
            acl=args.acl,
            pid_file=args.pid_file,
            by_hand=args.no_broker,
            user=settings.mqtt.username or settings.client,
            lines=broker_rules(f"{HTTP_CLIENT_PREFIX}{args.name}", base=settings.base),
        )

    def add(self) -> bool:
        """Whether the broker lets the bridge ask as the key's client, or is not ours to tell; else says what to do."""
        return self._edit(add_rules, f"These lines belong below `user {self.user}` in")

    def remove(self) -> bool:
        """Whether the broker lets it do so no more, or is not ours to tell; else says what to do."""
        return self._edit(remove_rules, f"These lines have no use any more below `user {self.user}` in")

    def _edit(self, edit: Callable[[Path, str, tuple[str, ...]], bool], what_to_do: str) -> bool:
        if self.by_hand:
            self._tell(what_to_do)
            return True
        try:
            edit(self.acl, self.user, self.lines)
        except ProvisionError as exc:
            _say(f"edgevoice: {exc}")
            self._tell(what_to_do)
            return False
        try:
            reload_broker(self.pid_file)  # also where nothing changed: the last time may have failed
        except ProvisionError as exc:
            _say(f"edgevoice: {self.acl} is written, but {exc}")
            return False
        return True

    def _tell(self, what_to_do: str) -> None:
        _say("\n".join((f"{what_to_do} the broker's ACL, {self.acl}:", *(f"  {line}" for line in self.lines))))
        _say(f"Then: {BY_HAND}")


def _name(word: str) -> str:
    if not is_key_name(word):
        raise argparse.ArgumentTypeError(f"{word!r} is no name for a key: 1 to 59 of A-Z, a-z, 0-9, _, . and -")
    return word


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
