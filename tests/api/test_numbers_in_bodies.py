"""Numbers of a body's records stay as they are written; all other types stay strict."""

import json

from worker.quotes import quote_maker

_RECORDS = """[
  {"company": {"id": 1E3, "rate": 1.50}},
  {"company": {"id": 1000.0, "rate": 0.10000000000000000001}},
  {"company": {"id": 123456789012345678901234567890, "rate": -0}}
]"""


def _body(more: str = "") -> str:
    asked = {"kind": "export", "license": "acme", "user": "ada", "retrieve": []}
    return f'{json.dumps(asked)[:-1]}, "records": {_RECORDS}{more}}}'


def test_the_records_of_a_body_keep_the_digits_that_were_written(api):
    api.license(credits=100)
    as_json = {"Content-Type": "application/json"}
    quote = api.admin.post("/v1/quotes", content=_body(), headers=as_json).json()
    with api.deps.artifacts.open(quote_maker.input_name(quote["id"])) as stream:
        kept = stream.read().decode()
    for written in ("1E3", "1000.0", "1.50", "0.10000000000000000001", "-0"):
        assert f'"{written}"' in kept
    assert '"123456789012345678901234567890"' in kept
    job = api.admin.post("/v1/jobs", content=_body(), headers=as_json)
    assert job.status_code == 202


def test_outside_of_records_a_number_is_a_number_and_a_text_is_none(api):
    api.license(credits=100)
    as_json = {"Content-Type": "application/json"}
    for given, status in (("9", 202), ('"9"', 422), ("9.5", 422)):
        body = _body(f', "max_credits": {given}')
        answer = api.admin.post("/v1/jobs", content=body, headers=as_json)
        assert answer.status_code == status, answer.text
