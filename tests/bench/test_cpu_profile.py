"""Statements of PostgreSQL's log are summed by their words."""

from bench.cpu_profile import statements

LOG = """
2026 UTC [1] LOG:  duration: 1.500 ms  statement: SELECT 1
2026 UTC [1] LOG:  duration: 2.000 ms  execute <unnamed>:
\tINSERT INTO a
\t     VALUES (1)
2026 UTC [1] LOG:  checkpoint starting
2026 UTC [1] LOG:  duration: 3.000 ms  execute _pg3_1:
\tINSERT INTO a
\t     VALUES (1)
2026 UTC [1] LOG:  duration: 0.100 ms  bind _pg3_1: SELECT 2
"""


def test_the_dearest_comes_first_with_all_its_calls():
    insert = "INSERT INTO a VALUES (1)"
    assert statements(LOG) == [(5.0, 2, insert), (1.5, 1, "SELECT 1")]
