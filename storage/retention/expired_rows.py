"""What is kept for a set time: found where the time is over, and taken out of its row.

Each function is one statement on at most `limit` rows. Files go through `removals`: a
row never names a file that may be gone. What a job under way needs is never touched.
"""

from sqlalchemy import Connection, text

from storage.webhooks import events, webhook_deliveries

# Asked once for each statement, so that an index can answer the comparison. Nothing
# goes by a clock that nobody has confirmed.
_BEFORE = "(SELECT holdfast_confirmed_now() - make_interval(secs => :after_s))"
_LONG_AGO = "(SELECT holdfast_confirmed_clock() - make_interval(secs => :after_s))"


def let_uploads_go(connection: Connection, *, after_s: float, limit: int) -> int:
    """Uploads that came in so long ago; their counts stay."""
    return connection.execute(
        text(f"""
            WITH old AS (
              SELECT id, artifact, raw, problem_file FROM uploads
               WHERE (artifact IS NOT NULL OR raw IS NOT NULL
                      OR problem_file IS NOT NULL)
                 AND created_at < {_BEFORE}
               ORDER BY created_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
            marked AS (
              INSERT INTO removals (name)
              SELECT name FROM old
               CROSS JOIN LATERAL unnest(ARRAY[artifact, raw, problem_file])
                 AS named (name)
               WHERE name IS NOT NULL
              ON CONFLICT (name) DO NOTHING)
            UPDATE uploads
               SET artifact = NULL, raw = NULL, problem_file = NULL, problems = '[]',
                   noticed = NULL
              FROM old WHERE uploads.id = old.id"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount


def let_quotes_go(connection: Connection, *, after_s: float, limit: int) -> int:
    """The records of quotes that made no job and expired so long ago."""
    return connection.execute(
        text(f"""
            WITH old AS (
              SELECT id, input FROM quotes
               WHERE input IS NOT NULL AND quoted_at < {_BEFORE}
                 AND expires_at < {_BEFORE}
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE quote_id = quotes.id)
               ORDER BY quoted_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
            emptied AS (
              UPDATE quotes SET input = NULL FROM old WHERE quotes.id = old.id)
            INSERT INTO removals (name) SELECT input FROM old
            ON CONFLICT (name) DO NOTHING"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount


def let_inputs_go(connection: Connection, *, after_s: float, limit: int) -> int:
    """The records of jobs that ended so long ago, and the words on rejected ones.

    From then on such a job cannot be retried.
    """
    return connection.execute(
        text(f"""
            WITH old AS (
              SELECT q.id, q.input, j.id AS job_id
                FROM quotes AS q JOIN jobs AS j ON j.quote_id = q.id
               WHERE q.input IS NOT NULL AND q.quoted_at < {_BEFORE}
                 AND j.finished_at < {_BEFORE}
               ORDER BY q.quoted_at LIMIT :limit
                 FOR NO KEY UPDATE OF q SKIP LOCKED),
            emptied AS (
              UPDATE quotes SET input = NULL FROM old WHERE quotes.id = old.id),
            silent AS (
              UPDATE record_outcomes AS o SET message = NULL FROM old
               WHERE o.job_id = old.job_id AND o.message IS NOT NULL),
            silent_batches AS (
              UPDATE outcome_batches AS b SET messages = NULL FROM old
               WHERE b.job_id = old.job_id AND b.messages IS NOT NULL)
            INSERT INTO removals (name) SELECT input FROM old
            ON CONFLICT (name) DO NOTHING"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount


def let_files_go(connection: Connection, *, after_s: float, limit: int) -> int:
    """The files of jobs that ended so long ago, and the manifests beside them.

    Name, size and digest stay.
    """
    return connection.execute(
        text(f"""
            WITH old AS (
              SELECT id, file_artifact FROM jobs
               WHERE file_artifact IS NOT NULL AND finished_at < {_BEFORE}
               ORDER BY finished_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
            emptied AS (
              UPDATE jobs SET file_artifact = NULL FROM old WHERE jobs.id = old.id)
            INSERT INTO removals (name)
            SELECT unnest(ARRAY[file_artifact, 'jobs/' || id || '/manifest.json'])
              FROM old
            ON CONFLICT (name) DO NOTHING"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount


def end_parts(connection: Connection, *, after_s: float, limit: int) -> list[str]:
    """Jobs that ended so long ago and have their parts still, marked as without.

    At once where somebody in them was erased. The caller marks the folders.
    """
    return list(
        connection.execute(
            text(f"""
                WITH old AS (
                  SELECT id FROM jobs
                   WHERE finished_at IS NOT NULL AND parts_removed_at IS NULL
                     AND (finished_at < {_BEFORE} OR NOT keep_file)
                   ORDER BY finished_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
                UPDATE jobs SET parts_removed_at = holdfast_now() FROM old
                 WHERE jobs.id = old.id
                RETURNING jobs.id"""),  # noqa: S608 - a constant
            {"after_s": after_s, "limit": limit},
        ).scalars(),
    )


def forget_events(connection: Connection, *, after_s: float, limit: int) -> int:
    """Events of so long ago with their deliveries, once nothing waits for them.

    That credits are low is said once a period: it is kept until the period ends.
    """
    return connection.execute(
        text(f"""
            WITH old AS (
              SELECT id FROM events AS e
               WHERE created_at < {_BEFORE}
                 AND NOT EXISTS (
                     SELECT 1 FROM periods WHERE ended_at IS NULL AND id = CASE
                       WHEN e.type = 'credits.low' THEN CAST(e.subject AS bigint) END)
                 AND NOT EXISTS (
                     SELECT 1 FROM outbox WHERE topic = :fan_out AND key = e.id
                        AND state <> 'done')
                 AND NOT EXISTS (
                     SELECT 1 FROM deliveries AS d JOIN outbox AS o
                         ON o.topic = :deliver AND o.key = CAST(d.id AS text)
                      WHERE d.event_id = e.id AND o.state <> 'done')
               ORDER BY created_at LIMIT :limit),
            sent AS (
              SELECT id FROM deliveries WHERE event_id IN (SELECT id FROM old)),
            attempts AS (
              DELETE FROM delivery_attempts
               WHERE delivery_id IN (SELECT id FROM sent)),
            deliveries_gone AS (
              DELETE FROM deliveries WHERE id IN (SELECT id FROM sent))
            DELETE FROM events WHERE id IN (SELECT id FROM old)"""),  # noqa: S608 - a constant
        {
            "after_s": after_s,
            "limit": limit,
            "fan_out": events.FAN_OUT,
            "deliver": webhook_deliveries.DELIVER,
        },
    ).rowcount


def forget_entries(connection: Connection, *, after_s: float, limit: int) -> int:
    """Outbox entries that were done so long ago."""
    return connection.execute(
        text(f"""
            DELETE FROM outbox WHERE id IN (
              SELECT id FROM outbox WHERE state = 'done' AND done_at < {_LONG_AGO}
               ORDER BY done_at LIMIT :limit)"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount


def forget_notifications(connection: Connection, *, after_s: float, limit: int) -> int:
    """Messages to users that were left so long ago."""
    return connection.execute(
        text(f"""
            DELETE FROM notifications WHERE id IN (
              SELECT id FROM notifications WHERE created_at < {_LONG_AGO}
               ORDER BY created_at LIMIT :limit)"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount


def forget_replaced_secrets(
    connection: Connection, *, after_s: float, limit: int
) -> int:
    """Secrets of webhooks that were replaced, and have not signed for so long."""
    return connection.execute(
        text(f"""
            DELETE FROM replaced_secrets WHERE id = ANY (ARRAY(
              SELECT id FROM replaced_secrets WHERE signs_until < {_LONG_AGO}
               ORDER BY signs_until LIMIT :limit FOR UPDATE SKIP LOCKED))"""),  # noqa: S608 - a constant
        {"after_s": after_s, "limit": limit},
    ).rowcount
