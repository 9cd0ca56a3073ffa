"""Connections, the fields of their CRMs, and dry runs as clients see them."""

from collections.abc import Mapping

from storage.connections.connections import CrmConnection
from storage.pushes.dry_runs import DryRun
from worker.connections.connectors.connector import Field
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_connection(connection: CrmConnection) -> Answer:
    """A connection; its secrets are never answered."""
    return {
        "id": connection.id,
        "license": connection.license_id,
        "connector": connection.connector,
        "name": connection.name,
        "state": connection.state.value,
        "settings": connection.settings,
        "created_at": instant(connection.created_at),
    }


def of_fields(fields: Mapping[str, Field] | None) -> list[Answer] | None:
    """The fields that a CRM has, by name; None where it takes any."""
    if fields is None:
        return None
    return [
        {
            "name": field.name,
            "label": field.label,
            "type": field.type,
            "required": field.required,
            "read_only": field.read_only,
            "options": list(field.options),
            "multiple": field.separator is not None,
            "is_open": field.is_open,
        }
        for _, field in sorted(fields.items())
    ]


def of_dry_run(run: DryRun) -> Answer:
    """A dry run, without its items."""
    error = None
    if run.error_code is not None:
        error = {"code": run.error_code, "detail": run.error_detail}
    return {
        "id": run.id,
        "license": run.license_id,
        "state": run.state,
        "create": run.create,
        "update": run.update,
        "unchanged": run.unchanged,
        "ambiguous": run.ambiguous,
        "refused": run.refused,
        "exclude": run.exclude,
        "created_at": instant(run.created_at),
        "finished_at": instant(run.finished_at),
        "error": error,
    }
