"""Text made safe to print, and what is printed of results."""

from __future__ import annotations

import pytest

from conformance import summary
from conformance.deviations import Record
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.report.templates import anchor, cell, code
from conformance.results import Header, Result, Run
from conformance.run import Outcome
from conformance.text import one_line, shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("", ""),
        ("Ångström, x²  →", "Ångström, x²  →"),
        ("a\nb\tc\r\n", "a b c  "),
        ("a\u2028b\xa0c\x85d", "a b c d"),
        ("\x1b[2J\x00\x7f", "\\x1b[2J\\x00\\x7f"),
        ("a\u202eb\ufeff", "a\\u202eb\\ufeff"),
        ("\ud800x\U000e0041", "\\ud800x\\U000e0041"),
    ],
)
def test_one_line_is_printable(text, safe):
    assert one_line(text) == safe
    assert safe.isprintable()


def test_a_long_line_keeps_both_ends():
    line = one_line("a" * 5000 + "z" * 5000, 101)
    assert line == f"{'a' * 48} ... {'z' * 48}"
    assert one_line("a" * 101, 101) == "a" * 101


def test_what_is_shown_is_neither_long_nor_deep():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert len(shown(deep)) < 100
    assert len(shown("x" * 10**6)) < 100
    assert len(shown(10**4000)) < 100
    assert len(shown({str(n): n for n in range(1000)})) < 100
    assert shown("a\x1b\u202e") == r"'a\x1b\u202e'"


def test_a_user_error_is_one_line_whatever_is_in_it():
    assert str(UserError("a\x1b[31m\nb")) == r"a\x1b[31m b"
    assert len(str(UserError("x" * 10**6))) <= 4000


def test_texts_are_escaped_for_markdown():
    assert cell("a|b <c> &\n *d* _e_ `f` [g](h) ~i~ #j \\") == (
        r"a\|b &lt;c&gt; &amp; \*d\* \_e\_ \`f\` \[g\](h) \~i\~ \#j \\"
    )
    assert code("a `b` ``c``") == "``` a `b` ``c`` ```"
    assert code("a") == "`a`"
    assert anchor("tf.nn.batch_norm x](y") == "tfnnbatch_norm-xy"


def test_what_an_implementation_says_reaches_the_terminal_in_one_printable_line():
    header = Header("0.1.0", "", {}, "3.11", "here", "cpu", None, {"mine": "numpy"})
    message = "a\n\x1b]0;owned\x07 \u202eb" + "x" * 1000
    result = Result("seed/a", "mine", "wrong", "raises", message=message)
    record = Record((), {"mine": "numpy"}, {}, "cpu")
    run = Run(header, [result])
    text = summary.of(Outcome(run, {"mine": "f.py:A"}, "", record, (), (), True), None)
    failure, *_ = text.split("\n")
    assert failure.isprintable()
    assert r"(a \x1b]0;owned\x07 \u202ebxxx" in failure
    assert len(failure) < 500


def test_a_function_in_a_file_of_an_unprintable_name_cannot_be_run(tmp_path):
    """Its name would stand in results that then could not be read."""
    path = tmp_path / "a\nb.py"
    path.write_text("def batch_norm(Z, gamma, beta, epsilon): return Z\n")
    with pytest.raises(UserError, match="name must be a printable string"):
        registry.load(f"{path}:batch_norm")
    path.rename(tmp_path / "ab.py")
    assert registry.load(f"{tmp_path / 'ab.py'}:batch_norm").framework == "numpy"
