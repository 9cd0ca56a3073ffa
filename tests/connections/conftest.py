"""Connections are tried as pushes use them: a sandbox, a Valkey and a database."""

from tests.pushes.conftest import connection, house, sandbox, wired

__all__ = ["connection", "house", "sandbox", "wired"]
