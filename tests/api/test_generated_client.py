"""A client that nobody wrote: generated from the document, it runs a job."""

import importlib
import subprocess
import sys

from tests.api.conftest import ADMIN_KEY


def _generate(api, folder):
    subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate"),
            *("--url", f"{api.url}/v1/openapi.json", "--meta", "none"),
            *("--output-path", str(folder / "holdfast_client")),
        ],
        check=True,
        capture_output=True,
        cwd=folder,
    )


def test_a_generated_client_runs_a_job(api, tmp_path, monkeypatch):
    folder = tmp_path / "generated"
    folder.mkdir()
    _generate(api, folder)
    monkeypatch.syspath_prepend(str(folder))
    client_module = importlib.import_module("holdfast_client")
    create = importlib.import_module("holdfast_client.api.jobs.create_job_v1_jobs_post")
    models = importlib.import_module("holdfast_client.models")
    show = importlib.import_module("holdfast_client.api.jobs.get_job_v1_jobs_job_get")
    api.license()
    body = models.DirectJob.from_dict(
        {
            "kind": "export",
            "license": "acme",
            "user": "ada",
            "records": [{"company": {"id": "c1"}, "person": None}],
        }
    )
    with client_module.AuthenticatedClient(base_url=api.url, token=ADMIN_KEY) as client:
        job = create.sync(client=client, body=body)
        api.work()
        ended = show.sync(job.id, client=client)
    assert ended.state == "succeeded"
    assert ended.credits_.settled == 1
