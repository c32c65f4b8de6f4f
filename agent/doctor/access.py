"""The broker's rules, tried out: each of our users may do its work, and nothing else.

No live agent and no device hears of it: requests go to an agent, and replies to a caller, whose names are made up for
the occasion, and nothing is retained. A live agent only hears that its own user is online. All in MQTT 5, the only one
in which a broker says that it refuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from agent.contract.messages import Cancel
from agent.contract.terms import AdminOperation, Operation
from agent.contract.topics import Topics
from agent.doctor.finding import Finding, fail, ok, warn
from agent.doctor.trial import TrialTopics, Tried, User, as_it_should_be, connected
from agent.mqtt.settings import MqttSettings

_FIGURES = "$SYS/broker/version"
_ONLINE = b"online"
_ANONYMOUS = "anonymous"
_NAME = "broker rules"
_RULES = "sudo diff mosquitto/acl /etc/mosquitto/acl   # mend the second one, then sudo systemctl reload mosquitto"


async def agent_rules(mqtt: MqttSettings, topics: Topics) -> Finding:
    """What the agent's user may do."""
    trial, name = TrialTopics.beside(topics), mqtt.username or _ANONYMOUS
    async with connected(mqtt) as user:
        if user is None:
            return _untried(name)
        tried = [
            *[one async for one in _agent_writes(user, trial)],
            *[one async for one in _agent_hears(user, mqtt, name, trial)],
            *[one async for one in _overhears(user, mqtt, trial.real, others=trial.stranger, own=name)],
            *[one async for one in _oversteps(user, _not_of_agent(trial))],
        ]
    return _finding(name, tried)


async def caller_rules(
    mqtt: MqttSettings, client: str, topics: Topics, agent: MqttSettings, *, keys: Iterable[str] = ()
) -> Finding:
    """What the user of the bridge may do, who asks as `client` and as the clients of `keys`; `agent` answers.

    But for those keys, it may do what any device may: its rules are the same patterns.
    """
    trial, name = TrialTopics.beside(topics), mqtt.username or _ANONYMOUS
    async with connected(mqtt) as user, connected(agent) as answering:
        if user is None or answering is None:
            return _untried(name)
        tried = [one async for one in _asks(user, answering, mqtt, client, trial)]
        for key in keys:
            tried += [one async for one in _asks(user, answering, mqtt, key, trial, who=f" as {key}")]
        tried += [
            Tried("say that it is there", wanted=True, allowed=await _is_there(user, name, topics), topic=name),
            *[one async for one in _overhears(answering, mqtt, trial.made_up, others=trial.stranger, own=client)],
            *[one async for one in _oversteps(user, _not_of_caller(trial))],
        ]
    return _finding(name, tried)


async def _agent_writes(user: User, trial: TrialTopics) -> AsyncIterator[Tried]:
    reply, status = trial.real.reply(trial.stranger, trial.stranger), trial.made_up.status
    template = trial.made_up.template(trial.stranger)
    yield Tried("write replies", wanted=True, allowed=await user.may_write(reply), topic=reply)
    # Not on the agent's own status topic, where everybody would hear it. Where the rules name each agent, there is no
    # telling.
    if await user.may_write(trial.made_up.reply(trial.stranger, trial.stranger)):
        yield Tried("write an agent's status", wanted=True, allowed=await user.may_write(status), topic=status)
        yield Tried("write its templates", wanted=True, allowed=await user.may_write(template), topic=template)


async def _agent_hears(user: User, mqtt: MqttSettings, name: str, trial: TrialTopics) -> AsyncIterator[Tried]:
    asked = trial.made_up.request(name, Operation.CHAT)
    yield Tried("read requests", wanted=True, allowed=await _hears_requests(user, mqtt, name, trial), topic=asked)
    probe, device = trial.made_up.probe, trial.real.client_status(name)
    async with connected(mqtt, probe, trial.real.all_client_status) as ear:
        if ear is None:
            return
        # Where the rules name each agent, there is no telling.
        if await user.may_write(trial.made_up.status):
            heard = await user.may_write(probe) and await ear.hears(probe)
            yield Tried("hear its own probe", wanted=True, allowed=heard, topic=probe)
        if await user.may_write(device, _ONLINE):
            yield Tried("hear of devices", wanted=True, allowed=await ear.hears(device), topic=device)


async def _hears_requests(user: User, mqtt: MqttSettings, name: str, trial: TrialTopics) -> bool:
    """The agent's user is a caller, too: it asks an agent that is not there."""
    asked = trial.made_up.request(name, Operation.CHAT)
    async with connected(mqtt, trial.made_up.all_requests) as ear:
        if not await user.may_write(asked) or (ear and await ear.hears(asked)):
            return True
    # Perhaps the rules name each agent. A live one answers the cancel of what was never asked, and that is all.
    asked = trial.real.request(name, Operation.CANCEL)
    async with connected(mqtt, trial.real.all_requests) as ear:
        cancel = Cancel(id=trial.stranger).encode()
        return bool(ear and await user.may_write(asked, cancel) and await ear.hears(asked))


async def _asks(
    user: User, answering: User, mqtt: MqttSettings, client: str, trial: TrialTopics, *, who: str = ""
) -> AsyncIterator[Tried]:
    asked, reply = trial.made_up.request(client, Operation.CHAT), trial.made_up.reply(client, trial.stranger)
    yield Tried(f"ask{who}", wanted=True, allowed=await user.may_write(asked), topic=asked)
    async with connected(mqtt, trial.made_up.all_replies(client)) as ear:
        if await answering.may_write(reply):
            heard = ear is not None and await ear.hears(reply)
            yield Tried(f"read its replies{who}", wanted=True, allowed=heard, topic=reply)


async def _is_there(user: User, name: str, topics: Topics) -> bool:
    return await user.may_write(topics.client_status(name), _ONLINE)


async def _overhears(
    speaking: User, mqtt: MqttSettings, topics: Topics, *, others: str, own: str
) -> AsyncIterator[Tried]:
    """Whether `mqtt` hears a reply to `others`; one to its `own` name, sent later, tells when to stop waiting."""
    not_for_it, for_it = topics.reply(others, others), topics.reply(own, others)
    async with connected(mqtt, "#", f"$share/{others}/#", _FIGURES) as ear:
        if ear is None or not await speaking.may_write(not_for_it):
            return
        await speaking.may_write(for_it)
        await ear.hears(for_it)
        yield Tried("read the replies to others", wanted=False, allowed=ear.heard(not_for_it), topic=not_for_it)
        yield Tried("read the broker's figures", wanted=False, allowed=ear.heard(_FIGURES), topic=_FIGURES)


def _not_of_agent(trial: TrialTopics) -> Mapping[str, str]:
    return {
        "ask in another's name": trial.made_up.request(trial.stranger, Operation.CHAT),
        **_not_of_anybody(trial),
    }


def _not_of_caller(trial: TrialTopics) -> Mapping[str, str]:
    return {
        "ask in another's name": trial.made_up.request(trial.stranger, Operation.CHAT),
        "answer in an agent's place": trial.made_up.reply(trial.stranger, trial.stranger),
        "write an agent's status": trial.made_up.status,
        "write an agent's probe": trial.made_up.probe,
        "write an agent's templates": trial.made_up.template(trial.stranger),
        **_not_of_anybody(trial),
    }


def _not_of_anybody(trial: TrialTopics) -> Mapping[str, str]:
    return {
        "administer in another's name": trial.made_up.admin(trial.stranger, AdminOperation.HEALTH),
        "speak for another device": trial.made_up.client_status(trial.stranger),
        "control the broker": f"$CONTROL/{trial.stranger}/v1",
        "write anywhere": f"{trial.stranger}/anything",
    }


async def _oversteps(user: User, topics: Mapping[str, str]) -> AsyncIterator[Tried]:
    for what, topic in topics.items():
        yield Tried(what, wanted=False, allowed=await user.may_write(topic), topic=topic)


def _untried(name: str) -> Finding:
    message = f"user {name}: what it may do was not tried, because the broker refused a connection in MQTT 5"
    return warn(_NAME, message, "mosquitto -h | head -1   # EdgeVoice needs 2.0 or later")


def _finding(name: str, tried: list[Tried]) -> Finding:
    faults = [one.fault for one in tried if one.fault]
    if faults:
        return fail(_NAME, f"user {name}: {'; '.join(faults)}", _RULES)
    return ok(_NAME, f"user {name}: {as_it_should_be(tried)}")
