"""The bare ceiling of a relay, as a program: claim, kombu's batch, mark; none of our code, and no guarantee.

Its SQL is that of a relay with states, in as few words as these take: claim due rows with ``SKIP LOCKED`` and a
lease, mark them Sent under the fence. It makes each message with Celery's own ``as_task_v2``.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from uuid import uuid4

import psycopg
from celery import Celery

CLAIM = """
WITH due AS (
    SELECT id FROM outbox_message
    WHERE status = 'pending' AND next_attempt_at <= now()
    ORDER BY priority, next_attempt_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox_message m
SET status = 'processing', attempts = m.attempts + 1, lock_id = %s, locked_until = now() + interval '30 s'
FROM due WHERE m.id = due.id
RETURNING m.id, m.consumer, m.payload
"""

MARK = """
UPDATE outbox_message
SET status = 'sent', sent_at = now(), lock_id = NULL, locked_until = now() + interval '1 hour'
WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
"""

IDLE_SECONDS = 0.05


def main(batch_size: int, queue: str) -> None:
    """Drain until killed."""
    app = Celery("ceiling", broker=os.environ["BROKER_URL"])
    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    producer = app.amqp.Producer(app.connection_for_write(), auto_declare=False)
    print("The ceiling is running.", flush=True)  # noqa: T201  (who started it waits for this)
    while True:
        lock_id = uuid4()
        rows = connection.execute(CLAIM, [batch_size, lock_id]).fetchall()
        if not rows:
            time.sleep(IDLE_SECONDS)
            continue
        with producer.batch(max_size=2 * len(rows)):
            for row in rows:
                _publish(app, producer, queue, *row)
        connection.execute(MARK, [[row[0] for row in rows], lock_id])


def _publish(app: Celery, producer: Any, queue: str, id_: Any, task: str, payload: dict[str, Any]) -> None:
    message = app.amqp.as_task_v2(str(id_), task, payload["args"], payload["kwargs"])
    producer.publish(
        message.body, headers=message.headers, serializer="json", exchange="", routing_key=queue,
        **message.properties,
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
