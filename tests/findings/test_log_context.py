"""What is logged of look-ups says for which chunk they are, in whichever thread."""

from worker.infrastructure.telemetry.log_format import add_context


def test_a_line_on_a_provider_says_for_which_chunk_it_was_asked(house, caplog):
    house.sandbox.behave("hunter", fault="out_of_credits", times=1)
    caplog.handler.addFilter(add_context)
    try:
        job_id = house.submit(["p1"])
        house.turn(job_id)
    finally:
        caplog.handler.removeFilter(add_context)
    lines = [line for line in caplog.records if line.name.endswith("circuit_breaker")]
    assert lines
    assert {(vars(line)["job"], vars(line)["attempt"]) for line in lines} == {
        (job_id, 1)
    }
