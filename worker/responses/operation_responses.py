"""Actions and timelines as clients see them."""

from storage.operations.action_log import Action
from storage.operations.chunk_reports import ChunkReport
from storage.operations.job_timeline import Entry
from storage.operations.processes import Process
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_action(action: Action) -> Answer:
    """Something that somebody has done."""
    return {
        "id": action.id,
        "at": instant(action.at),
        "by": action.actor,
        "key": action.key_id,
        "origin": action.origin,
        "verb": action.verb,
        "target": action.target,
        "target_kind": action.target_kind,
        "license": action.license_id,
        "reason": action.reason,
        "affected": action.affected,
        "bulk": action.bulk_id,
    }


def of_timeline_entry(entry: Entry) -> Answer:
    """What happened to a job; from where it was asked for is the operators' to know."""
    return {
        "at": instant(entry.at),
        "what": entry.what,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "waiting_reason": entry.waiting_reason,
        "error": entry.error_code,
        "user": entry.user,
        "job": entry.job_id,
        "of": entry.of,
        "action": entry.action_id
        and {
            "id": entry.action_id,
            "by": entry.actor,
            "verb": entry.verb,
            "reason": entry.reason,
        },
    }


def of_chunk(chunk: ChunkReport) -> Answer:
    """A slice of a job's records."""
    return {
        "id": chunk.id,
        "job": chunk.job_id,
        "state": chunk.state,
        "first": chunk.first,
        "cursor": chunk.cursor,
        "stop": chunk.stop,
        "attempt": chunk.attempt,
        "owner": chunk.owner,
        "lease_until": instant(chunk.lease_until),
        "run_at": instant(chunk.run_at),
        "crashes": chunk.crashes,
        "failures": chunk.failures,
        "last_error": chunk.last_error,
        "in_doubt": chunk.doubted_at is not None,
    }


def of_process(process: Process) -> Answer:
    """A worker or a dispatcher, and what it has in hand."""
    return {
        "id": process.id,
        "role": process.role,
        "state": process.state,
        "host": process.host,
        "pid": process.pid,
        "version": process.version,
        "started_at": instant(process.started_at),
        "seen_at": instant(process.seen_at),
        "draining_since": instant(process.draining_since),
        "rss_bytes": process.rss_bytes,
        "chunks": [
            {
                "id": chunk.id,
                "job": chunk.job_id,
                "license": chunk.license_id,
                "lease_until": instant(chunk.lease_until),
            }
            for chunk in process.chunks
        ],
        "entries": process.entries,
    }
