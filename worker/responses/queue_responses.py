"""The queues as operators are told of them."""

from storage.operations.overview import Overview, QueueFigures
from worker.operations.turn_order import LicenseTurn
from worker.responses.response import Answer


def of_queues(found: Overview, turns: list[LicenseTurn]) -> Answer:
    """What waits, how fast it goes, whose turn it is, and the outbox."""
    return {
        "items": [_of_queue(queue, found.records_s) for queue in found.queues],
        "next": None,
        "records_s": found.records_s,
        "licenses": [_of_turn(turn) for turn in turns],
        "outbox": found.outbox._asdict(),
    }


def _of_queue(queue: QueueFigures, records_s: float) -> Answer:
    return {
        "name": queue.name,
        "jobs": queue.jobs,
        "waiting": queue.waiting,
        "dispatched": queue.dispatched,
        "running": queue.running,
        "records": queue.records,
        "oldest_s": queue.oldest_s,
        "drains_in_s": queue.drains_in_s(records_s),
    }


def _of_turn(turn: LicenseTurn) -> Answer:
    waiting = turn.waiting
    return {
        "license": waiting.license_id,
        "queue": "small" if waiting.is_small else "chunks",
        "weight": waiting.weight,
        "share": turn.share,
        "rounds": turn.rounds,
        "waiting": waiting.chunks,
        "records": waiting.records,
        "in_flight": waiting.in_flight,
    }
