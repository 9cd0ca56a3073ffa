"""What becomes of a chunk whose worker is gone: back, in halves, or given up."""

import pytest

from storage.jobs.lost_work import LapsedChunk
from worker.jobs.sweeper import Rescue, decide

CRASHES_MAX = 3


def _lapsed(crashes: int, records_left: int) -> LapsedChunk:
    return LapsedChunk(
        id=1,
        attempt=crashes + 1,
        job_id="job",
        kind="export",
        crashes=crashes,
        input="jobs/job/input",
        first_byte=0,
        bytes=1000,
        first_line=0,
        cursor=500,
        stop=500 + records_left,
        is_in_doubt=False,
    )


@pytest.mark.parametrize("records_left", [1, 2, 500])
@pytest.mark.parametrize("crashes", [0, 1])
def test_the_first_two_crashes_bring_it_back(crashes, records_left):
    assert decide(_lapsed(crashes, records_left), CRASHES_MAX) is Rescue.BRING_BACK


@pytest.mark.parametrize("records_left", [2, 3, 500])
def test_the_third_crash_splits_it(records_left):
    assert decide(_lapsed(2, records_left), CRASHES_MAX) is Rescue.SPLIT


def test_the_third_crash_of_a_single_record_rejects_it():
    assert decide(_lapsed(2, 1), CRASHES_MAX) is Rescue.REJECT


def test_the_third_crash_of_what_may_have_been_sent_concludes_it():
    assert decide(_lapsed(2, 1)._replace(is_in_doubt=True), CRASHES_MAX) is (
        Rescue.CONCLUDE
    )


def test_only_the_records_that_are_left_count():
    # All but the last were checkpointed before the crash; it alone is to blame.
    almost_done = _lapsed(2, 500)._replace(cursor=999)
    assert decide(almost_done, CRASHES_MAX) is Rescue.REJECT


@pytest.mark.parametrize("crashes", [3, 10])
def test_more_crashes_than_that_never_bring_it_back(crashes):
    assert decide(_lapsed(crashes, 500), CRASHES_MAX) is Rescue.SPLIT
    assert decide(_lapsed(crashes, 1), CRASHES_MAX) is Rescue.REJECT


def test_with_one_crash_allowed_the_first_one_narrows_down():
    assert decide(_lapsed(0, 2), 1) is Rescue.SPLIT
    assert decide(_lapsed(0, 1), 1) is Rescue.REJECT


@pytest.mark.parametrize("records", [1, 2, 3, 1000])
def test_a_chunk_that_always_crashes_ends(records):
    # Halved like the sweep does it, each piece comes down to a single record.
    pieces, rejected = [(0, records)], 0
    while pieces:
        start, stop = pieces.pop()
        chunk = _lapsed(2, 1)._replace(cursor=start, stop=stop)
        if decide(chunk, CRASHES_MAX) is Rescue.REJECT:
            rejected += 1
        else:
            middle = (start + stop) // 2
            pieces += [(start, middle), (middle, stop)]
    assert rejected == records
