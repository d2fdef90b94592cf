"""Text made safe to print, and what is printed of results."""

from __future__ import annotations

import pytest

from conformance.errors import UserError
from conformance.report import anchor, cell, code
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
