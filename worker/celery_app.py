"""The Celery app: each option explicit, with its reason beside it.

Celery is the engine, not the queue: a message is an id and a wake-up, and may be
lost, doubled or late. Whatever decides (retries, delays, cancelling, limits,
attempts) is a row in PostgreSQL, so no option here may decide it a second time.
"""

import os
from multiprocessing import Value
from typing import Any

from celery import Celery
from celery.signals import (
    worker_before_create_process,
    worker_shutting_down,
)
from kombu.entity import Queue

from worker.heap import freeze_heap
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.settings import Settings
from worker.jobs.message_queues import CONTROL, QUEUES
from worker.jobs.messages import redis_transport

# Made before the pool forks: the parent alone learns that it is to stop, or is to take
# nothing more, and its children read this between two batches.
_stopping, _drains = Value("b", 0), Value("b", 0)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: object) -> None:
    _stopping.value = 1


@worker_before_create_process.connect  # type: ignore[untyped-decorator]
def _freeze(**_: object) -> None:
    # Before the fork: a collection that marked what parent and child share would make
    # it a copy in each, 40 MB.
    freeze_heap()


def draining() -> bool:
    """Whether this worker ends what it has and takes nothing more."""
    return bool(_stopping.value or _drains.value)


def drain(*, asked: bool) -> None:
    """Let this worker and its children take nothing more, or go on."""
    _drains.value = asked


def _redis_options(settings: Settings, within_s: float) -> dict[str, Any]:
    return {
        # Longer than any task may run: an early copy would only find its chunk taken.
        "visibility_timeout": settings.visibility_timeout_s,
        # Look for what a dead worker left each 10 s, and not each 100 s.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # A half-open connection is noticed, not waited on.
        "socket_timeout": within_s,
        "socket_connect_timeout": min(5, within_s),
        "socket_keepalive": True,
        "health_check_interval": 25,
        # Control before small, small before chunks.
        "queue_order_strategy": "priority",
        # Others may live on the same server.
        "global_keyprefix": "holdfast:",
    }


def _broker_options(
    settings: Settings, broker_url: str, within_s: float | None
) -> dict[str, Any]:
    if broker_url.startswith("amqp"):
        # A worker notices a broker that hangs by missed heartbeats: it reads nothing
        # most of the time.
        bounds = {"read_timeout": within_s, "write_timeout": within_s}
        return {
            # Without confirms RabbitMQ drops messages silently when it is in need.
            "broker_transport_options": {"confirm_publish": True}
            | (bounds if within_s else {}),
            "broker_heartbeat": 20,
            "task_default_queue_type": "quorum",
            "task_default_exchange_type": "topic",
        }
    return {"broker_transport_options": _redis_options(settings, within_s or 30)}


def _queue(name: str, broker_url: str) -> Queue:
    # Of RabbitMQ's queues only a quorum queue survives the loss of a node.
    quorum = {"x-queue-type": "quorum"} if broker_url.startswith("amqp") else None
    return Queue(name, routing_key=name, queue_arguments=quorum)  # type: ignore[no-untyped-call]


_OVERRULING = (
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"),
    *("CELERY_RESULT_BACKEND", "CELERY_LOADER", "CELERY_CONFIG_MODULE"),
)
"""Variables that overrule what Celery is told, set for other programs by others."""


def make_app(settings: Settings, *, within_s: float | None = None) -> Celery:
    """The app for the broker that the settings name, and for no other.

    Whoever publishes lets the broker answer `within_s` at most; workers wait for it.
    Raises `NotConfigured` where they name none: Celery would take a RabbitMQ of this
    machine.
    """
    if not settings.broker_url:
        raise NotConfigured("HOLDFAST_BROKER_URL is not set")
    for name in _OVERRULING:
        os.environ.pop(name, None)
    redis_transport.install()
    app = Celery("holdfast", broker=settings.broker_url)
    app.conf.update(_options(settings, settings.broker_url))
    app.conf.update(_broker_options(settings, settings.broker_url, within_s))
    return app


def _options(settings: Settings, broker_url: str) -> dict[str, Any]:
    """What holds whatever the broker."""
    return {
        # -- What travels: JSON with ids, nothing to unpickle, nothing to leak.
        "task_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "task_queues": [_queue(name, broker_url) for name in QUEUES],
        "task_default_queue": CONTROL,
        # A typo in a queue's name must fail, not make a queue that nobody reads.
        "task_create_missing_queues": False,
        # -- Delivery: late acknowledgement costs nothing, the database drops copies.
        "task_acks_late": True,
        # One at a time: what waits in a busy worker cannot go to an idle one.
        "worker_prefetch_multiplier": 1,
        # The lease brings work back, with a count; the broker would do it for ever.
        "task_reject_on_worker_lost": False,
        "task_retry_on_worker_lost": False,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        # Results live in PostgreSQL.
        "task_ignore_result": True,
        "result_backend": None,
        # -- Bounds: the time budget (240 s), then soft, then hard, then visibility.
        "task_soft_time_limit": settings.chunk_budget_s + 30,
        "task_time_limit": settings.task_time_limit_s,
        # -- Publishing: the dispatcher alone, and it is a loop that tries again.
        "task_publish_retry": False,
        "broker_pool_limit": 10,
        "broker_pool_acquire_timeout": 5.0,
        "broker_connection_timeout": 4.0,
        # A worker that is up before its broker waits for it.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # -- Workers: children are renewed before a leak matters (the size is in KB),
        # and not so often that small jobs pay for it.
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 400_000,
        # A task whose message was lost with the connection would run beside its copy.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # Stopping: batches end and chunks are given back well before this.
        "worker_soft_shutdown_timeout": min(60.0, settings.worker_grace_s / 2),
        # Delays are rows; no message carries one.
        "worker_eta_task_limit": 1000,
        "worker_disable_rate_limits": True,
        # A few messages more for each task, which nobody reads but Flower.
        "worker_send_task_events": settings.celery_monitoring != "off",
        # Whoever reaches the broker could stop workers; whatever steers is a row.
        "worker_enable_remote_control": settings.celery_monitoring == "control",
        "worker_proc_alive_timeout": 30.0,
        # Logging is set up by us, the same in each process.
        "worker_hijack_root_logger": False,
    }


def run_worker(app: Celery, *, concurrency: int, hostname: str) -> int:
    """Work until told to stop, or until Celery fails; the exit status.

    Without Celery's command line, which would bring a shell and 8 MB with it.
    """
    worker: Any = app.Worker(
        concurrency=concurrency,
        hostname=hostname,
        loglevel="INFO",
        # Workers need not know of each other; it costs a second at each start.
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return worker.exitcode or 0
