"""The consumer of a worker: takes messages, and drops those that nobody can run.

The database is the queue, so a message is never worth a worker. One that cannot be
read, names no task of ours or holds more than an id is dropped and counted; left to
Celery it would end the worker, be put back, and end the next one. One whose chunk or
entry does not wait any more is dropped too, before it costs a child. What is handed on
is written anew here: nothing in it but the task and the id is the sender's.
"""

import json
import logging
from collections.abc import Callable

from celery.worker import consumer
from kombu.message import Message

from worker.jobs.message_queues import RUN_CHUNK, RUN_ENTRY
from worker.jobs.messages.dropped_messages import DROPPED, Reason

log = logging.getLogger(__name__)

_BODY_BYTES_MAX = 16_384
"""Ours have a few hundred."""
_ID_MAX = 2**63 - 1

StillWaits = Callable[[str, int], bool]
"""Whether what a task is about may still be run."""


class Unreadable(Exception):
    """A message is not one of ours."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def row_id_of(body: object) -> int:
    """The id that a message carries. Raises `Unreadable` where it carries more."""
    raw = body.tobytes() if isinstance(body, memoryview) else body
    if not isinstance(raw, str | bytes):
        raise Unreadable(Reason.NOT_JSON)
    if len(raw) > _BODY_BYTES_MAX:
        raise Unreadable(Reason.TOO_LARGE)
    try:
        held = json.loads(raw)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise Unreadable(Reason.NOT_JSON) from error
    except ValueError as error:
        raise Unreadable(Reason.WRONG_ARGUMENTS) from error
    match held:
        # Positional arguments, named ones, and more; true and false are numbers too.
        case [[int(row_id)], dict(named), dict()] if not named and row_id is not True:
            if 0 < row_id <= _ID_MAX:
                return row_id
    raise Unreadable(Reason.WRONG_ARGUMENTS)


def read(message: Message) -> tuple[str, int]:
    """The task that a message names, and the id it carries. Raises `Unreadable`."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    task = headers.get("task")
    if task not in (RUN_CHUNK, RUN_ENTRY):
        raise Unreadable(Reason.UNKNOWN_TASK)
    if message.content_type != "application/json":
        raise Unreadable(Reason.NOT_JSON)
    return str(task), row_id_of(message.body)


def write(message: Message, task: str, row_id: int) -> None:
    """Let a message hold its task and its id, and nothing else of its sender's."""
    message.body = json.dumps([[row_id], {}, {}])
    message.content_type, message.content_encoding = "application/json", "utf-8"
    copy = f"{task}:{row_id}:{message.delivery_tag}"
    # The last is what monitors of Celery show.
    shown = {"argsrepr": f"({row_id},)"}
    message.headers = {"lang": "py", "task": task, "id": copy} | shown


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's own, which hands on only what can be run.

    `on_failure` is told what ends it, where that is not that it was told to stop.
    """

    def __init__(
        self,
        *args: object,
        still_waits: StillWaits,
        on_failure: Callable[[Exception], None],
        **options: object,
    ) -> None:
        self._still_waits = still_waits
        self._on_failure = on_failure
        super().__init__(*args, **options)

    def start(self) -> None:
        """Consume until told to stop."""
        try:
            super().start()
        except Exception as error:
            self._on_failure(error)
            raise

    def rest(self, *, rests: bool) -> None:
        """Ask the broker for nothing more, or again: soon, in the consumer's thread.

        The same again changes nothing. One that connects anew asks again by itself.
        """
        self.call_soon(self._rest, rests)

    def _rest(self, rests: bool) -> None:
        if self.task_consumer is None:
            return
        if rests:
            self.task_consumer.cancel()
        else:
            self.task_consumer.consume()

    def create_task_handler(self, *args: object) -> Callable[[Message], object]:
        """What is called with each message."""
        hand_on = super().create_task_handler(*args)

        def on_message(message: Message) -> object:
            try:
                task, row_id = read(message)
            except Unreadable as error:
                self._drop(message, error.reason)
                return None
            if not self._still_waits(task, row_id):
                self._drop(message, Reason.STALE)
                return None
            write(message, task, row_id)
            return hand_on(message)

        return on_message

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Drop what kombu could not unpack."""
        del exc
        self._drop(message, Reason.NOT_JSON)

    def _drop(self, message: Message, reason: Reason) -> None:
        info = message.delivery_info if isinstance(message.delivery_info, dict) else {}
        DROPPED.note(str(info.get("routing_key")), reason)
        message.reject_log_error(log, self.connection_errors)  # type: ignore[no-untyped-call]
