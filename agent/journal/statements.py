"""What the journal says to SQLite."""

from __future__ import annotations

ADMIT = """
INSERT OR REPLACE INTO request
    (client, id, operation, digest, envelope, clip,
    reply_topic, correlation_data, arrived_at, boot_id, boot_s, attempts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
KEEP = ADMIT.replace("OR REPLACE", "OR IGNORE")
"""The same, unless there is a row."""
COUNT_ATTEMPT = "UPDATE request SET attempts = max(0, attempts + ?) WHERE client = ? AND id = ? AND reply IS NULL"
ANSWER = """
INSERT INTO request
    (client, id, operation, digest, reply_topic, correlation_data, arrived_at, reply, answered_at, boot_id, boot_s)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (client, id) DO UPDATE SET
    envelope = NULL, clip = NULL, reply = excluded.reply,
    answered_at = excluded.answered_at, boot_id = excluded.boot_id, boot_s = excluded.boot_s
"""
"""Also where there is no row any more: its file was moved aside meanwhile."""
DELIVERED = "UPDATE request SET delivered = 1 WHERE client = ? AND id = ? AND reply = ?"
DROP_UNANSWERED = "DELETE FROM request WHERE client = ? AND id = ? AND reply IS NULL"
FORGET = """
DELETE FROM request WHERE rowid IN (
    SELECT line FROM (
        SELECT rowid AS line, row_number() OVER newest AS place, sum(length(reply)) OVER newest AS bytes,
            CASE WHEN boot_id = ? THEN ? - boot_s ELSE ? - answered_at END AS age_s
        FROM request WHERE reply IS NOT NULL
        WINDOW newest AS (ORDER BY rowid DESC)
    ) WHERE place > ? OR bytes > ? OR age_s > ?
)
"""
"""The order is that of their arrival: clocks are set, and the newest would be taken for the oldest."""

OUTCOME = "SELECT digest, reply FROM request WHERE client = ? AND id = ? AND reply IS NOT NULL"
REPLY = "SELECT reply, reply_topic, correlation_data FROM request WHERE client = ? AND id = ? AND reply IS NOT NULL"
KNOWN = "SELECT 1 FROM request WHERE client = ? AND id = ?"
UNANSWERED = """
SELECT client, id, operation, envelope, clip, reply_topic, correlation_data, attempts, arrived_at, boot_id, boot_s
FROM request WHERE reply IS NULL ORDER BY rowid
"""
UNDELIVERED = "SELECT client, id FROM request WHERE reply IS NOT NULL AND NOT delivered ORDER BY rowid"
