"""Rules of single users come and go; everything else in the file stays."""

import os

import pytest

from agent.provision.acl import add_rules, remove_rules
from agent.provision.files import ProvisionError, replace

RULES = """\
# Who may use which topic.

user agent
topic read edgevoice/v1/+/request/#

# The bridge.
user bridge
topic write edgevoice/v1/+/request/bridge/#

# Everybody.
pattern write edgevoice/v1/+/request/%u/#
"""
NEW = ("topic write edgevoice/v1/+/request/http-a/#", "topic read edgevoice/v1/+/reply/http-a/#")


@pytest.fixture
def acl(tmp_path):
    path = tmp_path / "acl"
    path.write_text(RULES)
    return path


def test_new_rules_stand_below_those_of_their_user_and_go_without_a_trace(acl):
    assert add_rules(acl, "bridge", NEW)

    before, after = RULES.split("\n\n# Everybody")
    assert acl.read_text() == f"{before}\n{NEW[0]}\n{NEW[1]}\n\n# Everybody{after}"
    assert remove_rules(acl, "bridge", NEW)
    assert acl.read_text() == RULES


def test_a_user_without_rules_gets_a_heading_and_loses_it_with_them(acl):
    assert add_rules(acl, "tv", NEW)
    assert acl.read_text() == f"{RULES}\nuser tv\n{NEW[0]}\n{NEW[1]}\n"

    assert remove_rules(acl, "tv", NEW[:1])
    assert acl.read_text() == f"{RULES}\nuser tv\n{NEW[1]}\n"
    assert remove_rules(acl, "tv", NEW)
    assert acl.read_text() == RULES


def test_twice_is_once(acl):
    assert add_rules(acl, "bridge", (*NEW, *NEW))
    once = acl.read_text()

    assert not add_rules(acl, "bridge", NEW)
    assert acl.read_text() == once
    assert remove_rules(acl, "bridge", NEW)
    assert not remove_rules(acl, "bridge", NEW)


def test_the_same_rule_of_another_user_is_not_touched(acl):
    add_rules(acl, "agent", NEW)
    add_rules(acl, "bridge", NEW)

    remove_rules(acl, "bridge", NEW)

    assert acl.read_text().count(NEW[0]) == 1
    assert not add_rules(acl, "agent", NEW)


def test_owner_and_mode_stay_and_a_link_stays_a_link(acl, tmp_path):
    acl.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(acl, 12_345, 54_321)
    link = tmp_path / "link"
    link.symlink_to(acl)

    add_rules(link, "bridge", NEW)

    status = acl.stat()
    assert link.is_symlink()
    assert status.st_mode & 0o7777 == 0o604
    if os.geteuid() == 0:
        assert (status.st_uid, status.st_gid) == (12_345, 54_321)
    assert {path.name for path in tmp_path.iterdir()} == {"acl", "link", ".edgevoice.lock"}


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ProvisionError, match=f"{tmp_path}/acl cannot be read"):
        add_rules(tmp_path / "acl", "bridge", NEW)
    with pytest.raises(ProvisionError, match=r"nowhere/\.edgevoice\.lock cannot be opened"):
        add_rules(tmp_path / "nowhere" / "acl", "bridge", NEW)


def test_a_user_that_is_gone_has_no_rules_left(acl):
    add_rules(acl, "bridge", NEW)
    assert remove_rules(acl, "bridge")
    assert not remove_rules(acl, "bridge")


def test_what_is_no_file_is_left_alone(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ProvisionError, match="is no file"):
        replace(pipe, "text")
    assert pipe.is_fifo()
