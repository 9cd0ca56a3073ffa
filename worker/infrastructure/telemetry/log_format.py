"""How processes log: a line each, for people or as JSON, with its context.

For people the context stands at the end: `[chunk=12 attempt=1 job=job_x license=acme]`.
"""

import json
import logging
import os
import re

from worker.infrastructure.telemetry import log_context

TEXT, JSON = "text", "json"
_OF_ENDED_TASKS = "celery.app.trace"
_STDOUT = 1
_TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s%(context)s"
_PLAIN = re.compile(r"[\w.:/@+-]+")


def log_to_stderr(log_format: str) -> None:
    """Log each line with its time and its context, as `text` or as `json`."""
    handler = logging.StreamHandler()
    handler.addFilter(add_context)
    handler.setFormatter(formatter_of(log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    if log_format == JSON:
        logging.captureWarnings(capture=True)


def silence_stdout() -> None:
    """Let nothing go to standard output that a library says to whoever watches."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)


def formatter_of(log_format: str) -> logging.Formatter:
    """The formatter of a format's name."""
    if log_format != JSON:
        return logging.Formatter(_TEXT_FORMAT)
    from pythonjsonlogger import core, orjson  # noqa: PLC0415 - only where it is asked for

    return orjson.OrjsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "error"},
        # What Celery has for its own formatter, and ours for people.
        reserved_attrs=[*core.RESERVED_ATTRS, "context", "data"],
        timestamp="at",
    )


def add_context(record: logging.LogRecord) -> bool:
    """Give a line what holds where it is logged; a filter that lets all through."""
    fields = log_context.fields()
    if not fields and record.name == _OF_ENDED_TASKS:
        fields = log_context.ended()
    vars(record).update(fields)
    words = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
    record.context = f" [{words}]" if words else ""
    return True


def _quoted(value: str | int) -> str:
    """What clients chose may hold spaces; a line stays one."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
