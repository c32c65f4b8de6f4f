#!/usr/bin/env bash
# The same over MQTT 5: examples/request-mqtt.sh 'Hello, how are you?'
# Broker, user and password are those that mosquitto_rr finds in $XDG_CONFIG_HOME, as `make run` prints it. AGENT, MODEL
# and CLIENT, the user's name, may be others.
set -euo pipefail

topics=edgevoice/v1/${AGENT:-orin}
client=${CLIENT:-demo}
request=$(jq --null-input --compact-output --arg text "$1" --arg model "${MODEL:-default}" '{$text, $model}')
mosquitto_rr -V 5 -q 1 -W 60 -m "$request" \
    -t "$topics/request/$client/chat" -e "$topics/reply/$client/request-$$" |
    jq 'if .status == "ok" then [{role: "assistant", content: .text}] else ., ("" | halt_error(1)) end'
