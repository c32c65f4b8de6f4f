#!/usr/bin/env bash
# Asks over HTTP, and shows the answer: examples/request.sh 'Hello, how are you?'
# URL and MODEL may be others than those here; KEY is one by `edgevoice keys add`, where the bridge needs any.
set -euo pipefail

jq --null-input --arg content "$1" --arg model "${MODEL:-default}" '{$model, messages: [{role: "user", $content}]}' |
    curl --silent --show-error --fail-with-body "${URL:-http://127.0.0.1:8080}/chat/completions?format=messages" \
        --header 'Content-Type: application/json' \
        --header @<(echo "${KEY:+Authorization: Bearer $KEY}") \
        --data-binary @- |
    jq .
