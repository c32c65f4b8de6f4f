"""paho, tamed: the only code that knows the MQTT library. Topics are strings here, payloads are bytes."""
