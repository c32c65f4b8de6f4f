"""Give a device, a program or an operator access to the broker, or take it away."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from agent.commands import CommandError, checked
from agent.contract.terms import DEFAULT_AGENT, DEFAULT_BASE, Id, TopicBase
from agent.contract.topics import Topics
from agent.doctor.site import pip_install
from agent.provision.files import ProvisionError
from agent.provision.folder import SHIPPED_AT, BrokerFolder
from agent.provision.reload import reload_broker, restart_broker

_missing: ImportError | None = None
try:
    from agent.provision.devices import Devices, Kind, Order, Untold
except ImportError as exc:  # of the extra's package, which who only asks for --help does not need
    _missing = exc

_ABOUT = """\
Run it as root where the broker is. At first use it makes a certificate authority for this machine, and opens a TLS port
each for devices with a password (8883) and with a certificate (8884). What goes onto the device is written once, into a
new folder; nothing can show it again.

examples:
  sudo edgevoice provision kitchen                  a password
  sudo edgevoice provision kitchen --cert           a certificate instead
  sudo edgevoice provision kitchen --rotate         a new password; the old one ends at once
  sudo edgevoice provision kitchen --revoke         no access any more, also where it is connected now
  sudo edgevoice provision robot --local            a program on this machine
  sudo edgevoice provision admin --local --operator
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, what, and where the broker's files are."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _ABOUT
    parser.add_argument("device", nargs="?", metavar="DEVICE", help="its name: user, and level of its topics")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--rotate", action="store_true", help="new credentials for who has some, which end at once")
    action.add_argument("--revoke", action="store_true", help="take the access away, and disconnect it")
    action.add_argument("--list", action="store_true", help="show who has access")
    kind = parser.add_mutually_exclusive_group()
    for flag, value, meaning in (
        ("--password", "password", "a password, over TLS; unless told otherwise"),
        ("--cert", "certificate", "a certificate and its key, over TLS"),
        ("--local", "local", "for a program on this machine: a password, and no TLS"),
    ):
        kind.add_argument(flag, dest="kind", action="store_const", const=value, help=meaning)
    parser.add_argument("--operator", action="store_true", help="lets it make operators' calls, too")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new folder for its files (default: ./DEVICE)")
    parser.add_argument(
        "--server-name",
        action="append",
        default=[],
        metavar="HOST",
        help="name or address under which devices reach this broker, beside those it knows; the first one is printed",
    )
    parser.add_argument(
        "--mosquitto",
        type=Path,
        default=Path(SHIPPED_AT),
        metavar="FOLDER",
        help=f"where the broker's files are (default: {SHIPPED_AT})",
    )
    parser.add_argument("--pid-file", type=Path, metavar="FILE", help="of a broker that systemd does not look after")
    parser.add_argument("--agent", type=checked(Id), default=DEFAULT_AGENT, help="the agent's name, for what is shown")
    parser.add_argument("--base", type=checked(TopicBase), default=DEFAULT_BASE, help="what topics begin with")


def run(args: argparse.Namespace) -> int:
    """0 once it is done, and the broker knows."""
    if bool(args.device) == args.list:
        raise CommandError("name a DEVICE, or ask for the --list; `edgevoice provision --help` tells more")
    if _missing:
        raise ProvisionError(f"certificates need a package: {pip_install('edgevoice[provision]')}") from _missing
    devices = Devices(BrokerFolder(args.mosquitto.absolute()))
    if args.list:
        _show(devices)
    elif args.revoke:
        _tell(args, devices.revoke(args.device))
        print(f"{args.device} has no access any more.")
    else:
        _make(args, devices)
    return 0


def _show(devices: Devices) -> None:
    for known in devices.known():
        until = f"until {known.until}" if known.until else ""
        print(f"{known.name:24} {known.kind.value:12} {until}".rstrip())


def _make(args: argparse.Namespace, devices: Devices) -> None:
    order = Order(
        name=args.device,
        out=args.out or Path(args.device),
        topics=Topics(base=args.base, agent=args.agent),
        kind=Kind(args.kind) if args.kind else None,
        server_names=tuple(args.server_name),
        operator=args.operator,
        rotate=args.rotate,
    )
    instructions, untold = devices.make(order)
    try:
        told = _tell(args, untold)  # first: whoever reads what follows may hang up in the middle of it
    finally:
        print(f"{instructions}\n")
        if args.operator:
            print(f"The agent's setting `operators` (EDGEVOICE_OPERATORS) must name {args.device}, too.\n")
    print(f"Done ({told}).")


def _tell(args: argparse.Namespace, untold: Untold) -> str:
    pid_file = args.pid_file
    return untold.tell(reload=partial(reload_broker, pid_file), restart=partial(restart_broker, pid_file))
