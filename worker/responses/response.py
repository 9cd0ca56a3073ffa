"""What all responses share: an object of JSON, and what is wrong in one place."""

from typing import Any

from worker.infrastructure.errors import Problem

Answer = dict[str, Any]


def of_problem(problem: Problem) -> Answer:
    """What is wrong in one place, which is named as far as there is one."""
    line = {"line": problem.line} if problem.line else {}
    field = {"field": problem.field} if problem.field else {}
    return {**line, **field, "message": problem.message}
