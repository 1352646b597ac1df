"""Has one fix taken effect in this process, where, and if not, why? And how does it let go when it fails?

Everything that a fix does inside calls of the training goes through an Attempt. When the fix fails there, it is taken
back as far as it can be, the call goes on as the script wrote it, and the reason is kept.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["Attempt"]

MOST_TEXTS = 8
"""Different things that are told of one fix; a script that makes hundreds of loaders makes them alike."""

Change = Callable[[dict[str, Any]], "str | None"]


class Attempt:
    """One fix in one process."""

    def __init__(self, fix: str, value: str | None = None) -> None:
        self.fix = fix
        self.value = value
        """What the user, or the recommendation, wants it set to; None leaves that to the fix."""
        self.armed = True
        self.times = 0
        self.proof: Callable[[], tuple[bool, str]] | None = None
        """Asked for the effect where it shows only later: whether it is there, and in words."""
        self._done: list[str] = []
        self._reasons: list[str] = []
        self._undo: list[Callable[[], Any]] = []
        self._watched: list[str] = []
        self._failed = False

    def number(self, default: int) -> int:
        """The value as a whole number above 0; `default` when there is none or it is something else."""
        text = (self.value or "").strip()
        return int(text) if text.isdecimal() and int(text) > 0 else default

    def applied(self, what: str) -> None:
        """It was applied once more; `what` says what is different now."""
        self.times += 1
        if what not in self._done and len(self._done) < MOST_TEXTS:
            self._done.append(what)

    def refuse(self, why: str) -> None:
        """It cannot be applied here, and nothing was changed."""
        if why not in self._reasons and len(self._reasons) < MOST_TEXTS:
            self._reasons.append(why[:400])

    def fail(self, error: Exception) -> None:
        """It went wrong inside: nothing more is done, and what can be taken back is. Never raises."""
        if self.armed:
            self._failed = True
            self.refuse(f"{type(error).__name__}: {error}")
            self.remove()

    def remove(self) -> None:
        """Let go of everything; what was built with the fix stays as it is."""
        self.armed = False
        while self._undo:
            with suppress(Exception):
                self._undo.pop()()

    def report(self) -> dict[str, Any]:
        """For trial.json: status (applied, never, failed), times, what was done, and the reasons where it was not."""
        proven, told = True, ""
        if self.proof is not None and self.times:
            try:
                proven, told = self.proof()
            except Exception as error:
                told = f"whether it took effect cannot be read ({type(error).__name__}: {error})"
        status = "failed" if self._failed else "applied" if self.times and proven else "never"
        what = [*self._done, told] if told and proven else list(self._done)
        reasons = [*self._reasons, told] if told and not proven else list(self._reasons)
        if status == "never" and not reasons:
            calls = f": it looks at calls of {', '.join(self._watched[:MOST_TEXTS])}" if self._watched else ""
            reasons = [f"there was nothing to change in this process{calls}"]
        return {"status": status, "times": self.times, "what": what, "reasons": reasons}

    def guard(self, call: Callable[..., Any], *args: Any) -> Any:
        """`call(*args)` while the fix is armed; None when it is not, or failed in it."""
        if not self.armed:
            return None
        try:
            return call(*args)
        except Exception as error:
            self.fail(error)
            return None

    def on_undo(self, call: Callable[[], Any]) -> None:
        """Call this when the fix lets go."""
        self._undo.append(call)

    def wrap(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Put `make(original)` in the place of owner's function, and of the same function elsewhere in torch.

        `make` is responsible for what its function raises; use `adjust` where arguments are all that changes.
        """
        original = getattr(owner, name)
        self._watched.append(owner.__name__ if name == "__init__" else f"{owner.__name__}.{name}")
        replacement = functools.wraps(original)(make(original))
        places = [owner] if inspect.isclass(owner) else _holders(owner, name, original)
        for place in places:
            setattr(place, name, replacement)
            self._undo.append(functools.partial(_restore, place, name, replacement, original))

    def adjust(self, owner: Any, name: str, change: Change) -> None:
        """Call owner's function with other arguments.

        `change` gets all arguments by name, changes them in place and says what it has done, or None when it leaves
        them. A call that does not take what was changed is repeated as the script wrote it.
        """
        signature = inspect.signature(getattr(owner, name))

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def adjusted(*args: Any, **kwargs: Any) -> Any:
                made = self.guard(_bound, signature, change, args, kwargs)
                if made is None:
                    return original(*args, **kwargs)
                others, named, what = made
                try:
                    result = original(*others, **named)
                except Exception as error:
                    result = original(*args, **kwargs)
                    self.refuse(f"{type(error).__name__}: {error}")
                    return result
                self.applied(what)
                return result

            return adjusted

        self.wrap(owner, name, make)


def _bound(
    signature: inspect.Signature, change: Change, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], str] | None:
    """The arguments after `change`, and what it has done; None when it left them, or when the call is wrong anyway."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    what = change(bound.arguments)
    return (bound.args, bound.kwargs, what) if what is not None else None


def _holders(owner: Any, name: str, original: Any) -> list[Any]:
    """`owner`, and the modules of torch that have imported the same function under the same name."""
    modules = [module for key, module in list(sys.modules.items()) if key == "torch" or key.startswith("torch.")]
    found = [module for module in modules if getattr(module, "__dict__", {}).get(name) is original]
    return [owner, *(module for module in found if module is not owner)]


def _restore(place: Any, name: str, replacement: Any, original: Any) -> None:
    if getattr(place, name) is replacement:
        setattr(place, name, original)
