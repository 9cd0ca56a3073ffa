"""A restored house answers what it knows, and refuses what would move credits."""

from contextlib import closing

from sqlalchemy import text

from storage.database import Database
from tests.api.conftest import serving
from worker.finance.chain.sealer import seal


def test_credits_are_refused_as_unavailable_with_the_reason(
    api, database_url, tmp_path
):
    api.license()
    seal(api.deps)
    with closing(Database(database_url)) as database:
        _say_the_server_is_another(database, "1")
        with serving(database_url, tmp_path / "again", {}) as restored:
            balance = restored.admin.get("/v1/licenses/acme/balance")
            assert balance.json()["available"] == 500
            refused = restored.admin.post(
                "/v1/licenses/acme/top-ups", json={"credits": 5, "reference": "r"}
            )
        assert refused.status_code == 503
        assert refused.json()["code"] == "unavailable"
        assert "the database was restored" in refused.json()["detail"]
        assert refused.headers["Retry-After"]
        _say_the_server_is_another(database, "holdfast_system_identifier()")


def _say_the_server_is_another(database: Database, identifier: str) -> None:
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(f"UPDATE chain_runs SET system_identifier = {identifier}")
        )
