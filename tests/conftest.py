"""For all tests: what they start can be interrupted, although a shell starts its background jobs so that they cannot."""

import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
