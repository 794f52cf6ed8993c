"""Checks that are counted, with a line for each."""

import contextlib


class Checks:
    """Counts what holds and what does not."""

    def __init__(self, client):
        self.client = client
        self.passed = 0
        self.failed = 0

    def equal(self, what, got, expected):
        """What the client says is what is true."""
        if got == expected:
            self._say(True, what)
        else:
            self._say(False, what, f"got {got!r}\n{'':8}expected {expected!r}")

    def that(self, what, holds):
        """Something holds."""
        self._say(bool(holds), what)

    @contextlib.contextmanager
    def raises(self, what, error, saying=""):
        """The client raises this error with this in its text."""
        try:
            yield
        except error as caught:
            if saying in str(caught):
                self._say(True, what)
            else:
                self._say(False, what, f"{saying!r} is not in: {caught}")
        except Exception as caught:
            self._say(False, what, f"raised {caught!r} instead of {error.__name__}")
        else:
            self._say(False, what, f"raised nothing instead of {error.__name__}")

    @contextlib.contextmanager
    def works(self, what):
        """Whatever the client does here must not raise; the checks inside count by themselves."""
        try:
            yield
        except Exception as caught:
            self._say(False, what, f"raised {caught!r}")

    def _say(self, holds, what, why=""):
        self.passed += holds
        self.failed += not holds
        print(f"{'ok' if holds else 'FAILED':7} {self.client:12} {what}")
        if why:
            print(f"{'':8}{why}", flush=True)
