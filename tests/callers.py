"""Callers as users have them: plain paho on either MQTT version, and an HTTP client. None of our own client code."""

import json
import queue
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.contract.base64 import encode_base64
from agent.stack.ports import HOST

PATIENCE_S = 20


@dataclass
class MqttCaller:
    """One paho client: what it publishes, and everything that arrives."""

    name: str
    client: paho.Client
    base: str = "edgevoice/v1/orin"
    user: str = "demo"
    arrived: queue.Queue[paho.MQTTMessage] = field(default_factory=queue.Queue)
    subscribed: threading.Event = field(default_factory=threading.Event)

    @property
    def v5(self):
        return self.name == "mqtt5"

    def publish(self, topic, payload, *, qos=1, retain=False, **properties):
        """Returns once the broker has it; `properties` by their MQTT 5 names."""
        packed = None
        if properties:
            packed = Properties(PacketTypes.PUBLISH)
            for key, value in properties.items():
                setattr(packed, key, value)
        if isinstance(payload, dict):
            payload = json.dumps(payload)
        self.client.publish(topic, payload, qos, retain, packed).wait_for_publish(PATIENCE_S)

    def request(self, operation="chat"):
        return f"{self.base}/request/{self.user}/{operation}"

    def reply_topic(self, request_id):
        return f"{self.base}/reply/{self.user}/{request_id}"

    def next(self, topic=None):
        """The next message, on `topic` where one is named; what comes between is lost."""
        while True:
            message = self.arrived.get(timeout=PATIENCE_S)
            if topic is None or message.topic == topic:
                return message

    def reply(self, request_id):
        """The terminal reply to `request_id`."""
        return json.loads(self.next(self.reply_topic(request_id)).payload)

    def ask(self, operation="chat", **fields):
        """The terminal reply to a JSON request."""
        fields.setdefault("id", uuid.uuid4().hex)
        self.publish(self.request(operation), fields)
        return self.reply(fields["id"])

    def ask_raw(self, payload, **properties):
        """The next terminal reply, whatever its id; for payloads that hold none."""
        self.publish(self.request(), payload, **properties)
        while True:
            message = self.next()
            if message.topic.startswith(f"{self.base}/reply/") and not message.topic.endswith("/event"):
                return json.loads(message.payload)

    def ask_wav(self, wav, mode="text"):
        """The reply to a WAV as it is."""
        request_id = uuid.uuid4().hex
        self.publish(self.request(f"wav/{request_id}/{mode}"), wav)
        return self.reply(request_id)


@dataclass
class HttpCaller:
    """An HTTP client; errors look like those of MQTT."""

    client: httpx.Client
    name: str = "http"

    def ask(self, operation="chat", **fields):
        assert operation == "chat"
        return self._read(self.client.post("/v1/ask", json=fields))

    def ask_raw(self, payload, content_type="application/json"):
        content = json.dumps(payload).encode() if isinstance(payload, dict) else payload
        return self._read(self.client.post("/v1/ask", content=content, headers={"content-type": content_type}))

    def ask_wav(self, wav, mode="text"):
        headers = {"content-type": "audio/wav"}
        return self._read(self.client.post("/v1/ask", content=wav, headers=headers, params={"reply_mode": mode}))

    @staticmethod
    def _read(response):
        body = response.json()
        if response.status_code == httpx.codes.OK:
            return body
        assert response.headers["content-type"] == "application/problem+json"
        assert body["status"] == response.status_code
        return {**body.get("reply", {}), "status": "error", "error": {**body, "message": body["detail"]}}


@contextmanager
def mqtt_caller(stack, name="mqtt5", user="demo", filters=None):
    """A connected, subscribed MqttCaller."""
    protocol = MQTTProtocolVersion.MQTTv5 if name == "mqtt5" else MQTTProtocolVersion.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, f"test-{uuid.uuid4().hex[:8]}", protocol=protocol)
    client.username_pw_set(user, stack.broker.password_file(user).read_text(encoding="utf-8").strip())
    caller = MqttCaller(name, client, user=user)
    client.on_message = lambda _client, _userdata, message: caller.arrived.put(message)
    client.on_subscribe = lambda *_: caller.subscribed.set()

    def subscribe(*_):
        client.subscribe([(topic, 1) for topic in filters or [f"{caller.base}/reply/{user}/#"]])

    client.on_connect = subscribe
    client.on_disconnect = lambda *_: caller.subscribed.clear()
    client.connect(HOST, stack.broker.port, keepalive=30)
    client.loop_start()
    try:
        assert caller.subscribed.wait(PATIENCE_S)
        yield caller
    finally:
        client.disconnect()
        client.loop_stop()
        client._reset_sockets()  # else its wake-up sockets stay open until it is collected


@contextmanager
def http_caller(stack):
    """An HttpCaller to the stack's bridge."""
    with httpx.Client(base_url=stack.url, timeout=PATIENCE_S) as client:
        yield HttpCaller(client)


def spoken(wav):
    """The field of a request that carries `wav`."""
    return encode_base64(wav)
