"""What every reader of files says instead of a document."""

from palaver.chat.knowledge import Problem


class Unreadable(Exception):
    def __init__(self, problem: Problem, why: str = "") -> None:
        super().__init__(problem, why)
        self.problem: Problem = problem
        self.why = why
