"""What happens to a request: admission, then its stages, one after the other. No MQTT, no engine library."""
