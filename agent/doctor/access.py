"""The broker's rules, tried out: each of our users may do its work, and nothing else.

No live agent and no device hears of it: requests go to an agent, and replies to a caller, whose names are made up for
the occasion, and nothing is retained. All in MQTT 5, the only one in which a broker says that it refuses.
"""

from __future__ import annotations

from agent.contract.messages import Cancel
from agent.contract.terms import AdminOperation, Operation
from agent.contract.topics import Topics
from agent.doctor.finding import Finding, fail, ok, warn
from agent.doctor.trial import TrialTopics, User, connected
from agent.mqtt.settings import MqttSettings

_ALL = "#"
_ANONYMOUS = "anonymous"
_NAME = "broker rules"
_RULES = "sudo install -m 640 -g mosquitto mosquitto/acl /etc/mosquitto/acl && sudo systemctl reload mosquitto"


async def agent_rules(mqtt: MqttSettings, topics: Topics) -> Finding:
    """What the agent's user may do."""
    trial, name = TrialTopics.beside(topics), mqtt.username or _ANONYMOUS
    async with connected(mqtt) as user:
        if user is None:
            return _untried(name)
        faults = [
            *await _agent_writes(user, trial),
            *await _agent_hears(user, mqtt, name, trial),
            *await _overhears(user, mqtt, trial.real, others=trial.stranger, own=name),
            *await _oversteps(user, _not_of_agent(trial)),
        ]
    return _finding(name, faults, "reads requests, writes replies and its status, and nothing else that was tried")


async def caller_rules(mqtt: MqttSettings, client: str, topics: Topics, agent: MqttSettings) -> Finding:
    """What the user of the bridge may do, who asks as `client`; `agent` is the user who answers."""
    trial, name = TrialTopics.beside(topics), mqtt.username or _ANONYMOUS
    async with connected(mqtt) as user, connected(agent) as answering:
        if user is None or answering is None:
            return _untried(name)
        faults = [
            *await _caller_writes(user, client, trial),
            *await _caller_hears(answering, mqtt, client, trial),
            *await _overhears(answering, mqtt, trial.made_up, others=trial.stranger, own=client),
            *await _oversteps(user, _not_of_caller(trial)),
        ]
    return _finding(name, faults, "writes its own requests, reads its own replies, and nothing else that was tried")


async def _agent_writes(user: User, trial: TrialTopics) -> list[str]:
    reply, status = trial.real.reply(trial.stranger, trial.stranger), trial.made_up.status
    faults = [] if await user.may_write(reply) else [f"it may not write replies: {reply}"]
    # Not on the agent's own status topic, where everybody would hear it. Where the rules name each agent, there is no
    # telling.
    if await user.may_write(trial.made_up.reply(trial.stranger, trial.stranger)) and not await user.may_write(status):
        faults.append(f"it may not write an agent's status: {status}")
    return faults


async def _agent_hears(user: User, mqtt: MqttSettings, name: str, trial: TrialTopics) -> list[str]:
    """The agent's user is a caller, too: it asks an agent that is not there."""
    asked = trial.made_up.request(name, Operation.CHAT)
    async with connected(mqtt, trial.made_up.all_requests) as ear:
        if not await user.may_write(asked) or (ear and await ear.hears(asked)):
            return []
    # Perhaps the rules name each agent. A live one answers the cancel of what was never asked, and that is all.
    asked = trial.real.request(name, Operation.CANCEL)
    async with connected(mqtt, trial.real.all_requests) as ear:
        if ear and await user.may_write(asked, Cancel(id=trial.stranger).encode()) and await ear.hears(asked):
            return []
    return [f"it may not read requests: {asked}"]


async def _caller_writes(user: User, client: str, trial: TrialTopics) -> list[str]:
    own = trial.made_up.request(client, Operation.CHAT)
    return [] if await user.may_write(own) else [f"it may not ask: {own}"]


async def _caller_hears(answering: User, mqtt: MqttSettings, client: str, trial: TrialTopics) -> list[str]:
    reply = trial.made_up.reply(client, trial.stranger)
    async with connected(mqtt, trial.made_up.all_replies(client)) as ear:
        if not await answering.may_write(reply) or (ear and await ear.hears(reply)):
            return []
    return [f"it may not read its replies: {reply}"]


async def _overhears(speaking: User, mqtt: MqttSettings, topics: Topics, *, others: str, own: str) -> list[str]:
    """Whether `mqtt` hears a reply to `others`; one to its `own` name, sent later, tells when to stop waiting."""
    not_for_it, for_it = topics.reply(others, others), topics.reply(own, others)
    async with connected(mqtt, _ALL) as ear:
        if ear is None or not await speaking.may_write(not_for_it):
            return []
        await speaking.may_write(for_it)
        await ear.hears(for_it)
        return [f"it may read the replies to others: {not_for_it}"] if ear.heard(not_for_it) else []


def _not_of_agent(trial: TrialTopics) -> dict[str, str]:
    return {
        "ask in another's name": trial.made_up.request(trial.stranger, Operation.CHAT),
        "write anywhere": f"{trial.stranger}/anything",
    }


def _not_of_caller(trial: TrialTopics) -> dict[str, str]:
    return {
        "ask in another's name": trial.made_up.request(trial.stranger, Operation.CHAT),
        "answer in an agent's place": trial.made_up.reply(trial.stranger, trial.stranger),
        "write an agent's status": trial.made_up.status,
        "administer in another's name": trial.made_up.admin(trial.stranger, AdminOperation.HEALTH),
        "write anywhere": f"{trial.stranger}/anything",
    }


async def _oversteps(user: User, topics: dict[str, str]) -> list[str]:
    return [f"it may {what}: {topic}" for what, topic in topics.items() if await user.may_write(topic)]


def _untried(name: str) -> Finding:
    message = f"user {name}: what it may do was not tried, because the broker refused a connection in MQTT 5"
    return warn(_NAME, message, "mosquitto -h | head -1   # EdgeVoice needs 2.0 or later")


def _finding(name: str, faults: list[str], good: str) -> Finding:
    if faults:
        return fail(_NAME, f"user {name}: {'; '.join(faults)}", _RULES)
    return ok(_NAME, f"user {name} {good}")
