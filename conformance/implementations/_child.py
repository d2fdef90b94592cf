"""A program that answers a line with a line: started, held to a time and a length, and never left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Sequence

from conformance.errors import UserError
from conformance.implementations.base import Crashed, Malformed, TimedOut

_CHUNK = 2**16
_PIPE = 2**20  # bytes; a pipe holds no more
_LAST_WORDS = 2**12  # bytes of standard error that are kept
_LOOK_AGAIN = 0.2  # seconds
_PATIENCE = 1.0  # seconds for a program to end by itself once its input or output is closed

# The guard leads the program's process group and reads from us: at our end, whatever ended us, it
# reads the end of its input and takes the group along.
_GUARD = ("/bin/sh", "-c", "read -r _; kill -KILL 0")


class Child:
    """One start of a program. Each exchange gives its answer, or raises and ends it.

    It runs in a process group of its own, so that what it has started ends with it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Raises UserError where the command cannot be started."""
        null = subprocess.DEVNULL
        pipe = subprocess.PIPE
        guard = subprocess.Popen(_GUARD, stdin=pipe, stdout=null, stderr=null, process_group=0)
        try:
            self._program = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, process_group=guard.pid
            )
        except OSError as error:
            _kill(guard)
            raise UserError(f"{command[0]} cannot be started: {error.strerror}") from None
        except ValueError as error:
            _kill(guard)
            raise UserError(f"{command[0]!r} cannot be started: {error}") from None
        program = self._program
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        ends = [end.fileno() for end in (program.stdin, program.stdout, program.stderr)]
        for pipe_end in ends:
            os.set_blocking(pipe_end, False)
        self._input, self._output, self._error = ends
        self._last_words = b""
        self._greeted = False  # the first line may come unasked
        self._end = weakref.finalize(self, _end, self._program, guard)

    def end(self) -> None:
        """Close its input, wait for a moment, and kill what is left of its group."""
        self._end()

    def exchange(self, line: bytes, seconds: float, longest: int) -> bytes:
        """The line that answers `line`, both without the newline; at most `longest` bytes.

        Raises Crashed, TimedOut or Malformed; the program is then ended.
        """
        try:
            if self._greeted and self._read(self._output):
                raise Malformed("a line was written that nothing had asked for")
            self._greeted = True
            answer = self._converse(line + b"\n", time.monotonic() + seconds, longest)
            first, _, rest = bytes(answer).partition(b"\n")
            if rest:
                raise Malformed("more than one line was written")
            return first
        except TimeoutError:
            self._kill()
            raise TimedOut(f"no answer within {seconds:g} s{self._quoted()}") from None
        except Malformed:
            self._kill()
            raise
        except EOFError:
            raise Crashed(self._why_it_ended()) from None

    def _converse(self, line: bytes, deadline: float, longest: int) -> bytearray:
        """Write all of `line`, and what is read until there is a newline in it.

        Raises TimeoutError, Malformed, or EOFError where the program has ended.
        """
        answer, complete = bytearray(), False
        left = memoryview(line)
        with selectors.DefaultSelector() as selector:
            selector.register(self._input, selectors.EVENT_WRITE)
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._error, selectors.EVENT_READ)
            while True:
                if (seconds := deadline - time.monotonic()) <= 0:
                    raise TimeoutError
                # What it has started may hold its output open when it has ended.
                ended = self._program.poll() is not None
                ready = selector.select(0 if ended else min(seconds, _LOOK_AGAIN))
                if ended and all(key.fd != self._output for key, _ in ready):
                    raise EOFError
                for key, _ in ready:
                    if key.fd == self._input:
                        left = self._write(left)
                        if not left:
                            selector.unregister(self._input)
                    elif key.fd == self._error:
                        if not self._hear():
                            selector.unregister(self._error)
                    else:
                        chunk = self._read(self._output)
                        answer += chunk
                        complete = complete or b"\n" in chunk
                if complete and not left:
                    return answer
                if len(answer) > longest:
                    raise Malformed(f"a line is longer than {longest} bytes")

    def _write(self, left: memoryview) -> memoryview:
        """What is left to write; nothing if the other end was closed, which reading will explain."""
        try:
            return left[os.write(self._input, left[:_CHUNK]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            return left[:0]

    def _read(self, pipe: int) -> bytes:
        """What there is to read, b"" if nothing yet. Raises EOFError at the end."""
        try:
            chunk = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return b""
        if not chunk:
            raise EOFError
        return chunk

    def _hear(self) -> bool:
        """Keep the last of what is on standard error; False at its end."""
        try:
            self._last_words = (self._last_words + self._read(self._error))[-_LAST_WORDS:]
        except EOFError:
            return False
        return True

    def _kill(self) -> None:
        self._program.kill()
        self.end()

    def _why_it_ended(self) -> str:
        """In words, after its standard output has ended; what else is left of it is ended too."""
        try:
            status = self._program.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            why = "its standard output was closed"
        else:
            why = f"it ended by {_signal(-status)}" if status < 0 else f"exit status {status}"
        for _ in range(_PIPE // _CHUNK):
            if not self._hear():
                break
        self._kill()
        return why + self._quoted()

    def _quoted(self) -> str:
        """The last lines of standard error, if there are any."""
        lines = self._last_words.decode("utf-8", "replace").split("\n")
        lines = [" ".join(line.split()) for line in lines if line.strip()]
        text = "".join(c if c.isprintable() else "?" for c in " / ".join(lines[-3:])[-300:])
        return f"; standard error: {text}" if text else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(program: subprocess.Popen[bytes], guard: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if program.stdin:
            program.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(_PATIENCE)
    _kill(guard)
    program.wait()
    for pipe in (program.stdout, program.stderr):
        if pipe:
            pipe.close()


def _kill(guard: subprocess.Popen[bytes]) -> None:
    """End the guard's process group, once: its number may be another's when the guard is gone."""
    if guard.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(guard.pid, signal.SIGKILL)
    guard.wait()
    if guard.stdin:
        guard.stdin.close()
