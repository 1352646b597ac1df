"""Every error that llmprof raises on purpose, and the exit code each one carries.

    LlmprofError                 exit 1   something in llmprof itself went wrong
    ├── InputError               exit 2   the user's input cannot be used (path, option, file)
    │   ├── NotFoundError        exit 2   no such file or folder
    │   ├── CommandError         exit 127 there is no such command; 126 when it may not be executed, as in a shell
    │   ├── UnreadableError      exit 2   the file is damaged: cut short, not valid text, not JSON
    │   ├── UnsafePickleError    exit 2   a pickle that holds more than data, or is built to exhaust the machine
    │   └── UnknownFormatError   exit 2   readable, but no format that llmprof knows
    ├── BudgetError              exit 3   a budget or a regression limit is broken
    └── NotEnoughDataError       exit 4   read, but too little in it for a verdict

A message is one sentence that says what happened, where, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "BudgetError",
    "CommandError",
    "InputError",
    "LlmprofError",
    "NotEnoughDataError",
    "NotFoundError",
    "UnknownFormatError",
    "UnreadableError",
    "UnsafePickleError",
]


class LlmprofError(Exception):
    """Base of all errors that llmprof raises on purpose."""

    exit_code = 1


class InputError(LlmprofError):
    """The user's input cannot be used."""

    exit_code = 2


class NotFoundError(InputError):
    """A path does not exist."""


class CommandError(InputError):
    """A command cannot be started; the exit code is the one that a shell gives for the same reason."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UnreadableError(InputError):
    """A file exists but its bytes are damaged."""


class UnsafePickleError(InputError):
    """A pickle holds more than plain data, or is built to exhaust the machine; nothing in it was run."""


class UnknownFormatError(InputError):
    """A file is readable but is none of the formats that llmprof knows."""


class BudgetError(LlmprofError):
    """A budget or a regression limit is broken."""

    exit_code = 3


class NotEnoughDataError(LlmprofError):
    """The input was read, but holds too little for a verdict."""

    exit_code = 4
