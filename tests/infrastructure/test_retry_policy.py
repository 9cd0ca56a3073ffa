"""How long a failure waits before it is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from worker.infrastructure.retry_policy import backoff_s


def _delays(count: int, base_s: float = 2, max_s: float = 60) -> list[float]:
    return [backoff_s(n, base_s=base_s, max_s=max_s) for n in range(count)]


def test_the_delay_doubles_from_its_base_up_to_its_maximum():
    assert _delays(8) == [2, 4, 8, 16, 32, 60, 60, 60]


def test_the_first_delay_is_the_base():
    assert backoff_s(0, base_s=0.5, max_s=60) == 0.5


def test_a_base_above_the_maximum_waits_the_maximum():
    assert _delays(2, base_s=90) == [60, 60]


def test_a_million_failures_still_wait_the_maximum_and_no_longer():
    assert backoff_s(1_000_000, base_s=0.001, max_s=900) == 900


@given(st.integers(0, 10_000), st.floats(0.001, 100), st.floats(0.001, 10_000))
def test_no_failure_waits_shorter_than_the_one_before(failures, base_s, max_s):
    delay_s = backoff_s(failures, base_s=base_s, max_s=max_s)
    assert 0 < delay_s <= max_s
    assert delay_s <= backoff_s(failures + 1, base_s=base_s, max_s=max_s)
