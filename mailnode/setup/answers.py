"""What only the person knows: from a file of answers, from earlier runs, or asked on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mailnode.config.file import parse
from mailnode.errors import ConfigurationError
from mailnode.setup.progress import Progress
from mailnode.setup.trouble import AnswerNeeded

MAX_TRIES = 5  # wrong answers to one question before it counts as not answered
REMEMBERED = "answers"


def _anything(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Question:
    """One question. ``read`` returns the answer in the form it is used in, or raises ValueError with what is wrong."""

    name: str  # the key in a file of answers
    words: str  # what a person is asked
    read: Callable[[str], str] = _anything
    secret: bool = False  # not shown while it is typed, and never remembered


class Terminal(Protocol):
    """Where a person can be asked."""

    def ask(self, words: str, suggested: str, secret: bool) -> str:
        """Ask once; an empty answer is the suggestion. :raises EOFError: there is nobody any more.
        :raises KeyboardInterrupt:"""

    def say(self, line: str) -> None:
        """Say something about an answer."""


class Answers:
    """Answers by the name of the question."""

    def __init__(self, given: Mapping[str, str], progress: Progress, terminal: Terminal | None) -> None:
        """:param given: of a file of answers. :param terminal: None: nobody can be asked."""
        self._given = given
        self._progress = progress
        self._terminal = terminal
        self._here: dict[str, str] = {}  # those of this run

    def of(self, question: Question, suggested: str = "", *, sure: bool = False, optional: bool = False) -> str:
        """Return the answer. What is given again goes before what was remembered.

        :param suggested: what is taken when a person presses Enter. :param sure: where nobody has said otherwise, the
            suggestion is the answer, and nobody is asked. :param optional: it is where there is nobody to ask.
        :raises AnswerNeeded: nobody knows. :raises ValueError: the answer in the file is wrong: what is wrong with it.
        """
        known = self.known(question)
        if known is not None:
            return known
        if sure or (optional and self._terminal is None):
            return suggested
        if self._terminal is None:
            raise AnswerNeeded(question.name, question.words)
        return self._keep(question, self._asked(question, suggested, self._terminal))

    def known(self, question: Question) -> str | None:
        """Return the answer where it is known without asking. :raises ValueError: the one in the file is wrong."""
        if question.name in self._here:
            return self._here[question.name]
        if question.name in self._given:
            try:
                return self._keep(question, question.read(self._given[question.name]))
            except ValueError as error:
                raise ValueError(f"the answer {question.name}: {error}") from None
        return self._progress.value(REMEMBERED, question.name) or None

    @property
    def can_ask(self) -> bool:
        """Whether there is a person to ask."""
        return self._terminal is not None

    def forget(self, question: Question) -> None:
        """Take an answer back that turned out to be wrong: a person is asked anew at the next run."""
        self._here.pop(question.name, None)
        if not question.secret:
            self._progress.remember(REMEMBERED, question.name, "")

    def _keep(self, question: Question, answer: str) -> str:
        self._here[question.name] = answer
        if not question.secret:
            self._progress.remember(REMEMBERED, question.name, answer)
        return answer

    def _asked(self, question: Question, suggested: str, terminal: Terminal) -> str:
        for _ in range(MAX_TRIES):
            try:
                answer = terminal.ask(question.words, suggested, question.secret)
            except EOFError:
                break
            try:
                return question.read(answer or suggested)
            except ValueError as error:
                terminal.say(f"{error}.")
        raise AnswerNeeded(question.name, question.words)


def read_answers(path: Path, questions: Iterable[Question]) -> dict[str, str]:
    """Return what stands in a file of answers: TOML, a key for each question.

    :raises ConfigurationError: every mistake."""
    known = {question.name for question in questions}
    found: dict[str, str] = {}
    mistakes = []
    for name, value in parse(path).items():
        if name not in known:
            mistakes.append(f"{path}: {name}: no such question; there are {', '.join(sorted(known))}")
        elif isinstance(value, bool):
            found[name] = "yes" if value else "no"
        elif isinstance(value, str | int):
            found[name] = str(value)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            found[name] = " ".join(value)
        else:
            mistakes.append(f"{path}: {name}: should be text, a number, true or false, or a list of texts")
    if mistakes:
        raise ConfigurationError(mistakes)
    return found


def yes_or_no(text: str) -> str:
    """Read a yes or no. :raises ValueError:"""
    known = {"y": "yes", "yes": "yes", "n": "no", "no": "no"}
    answer = known.get(text.strip().lower())
    if answer is None:
        raise ValueError("should be yes or no")
    return answer
