"""Every case can be shown as text for a person to read."""

import pytest

from conformance.cases import cases_folder, load_cases
from conformance.show import show

CASES = load_cases(cases_folder())
ONE_OF_EACH = {(c.family, c.operation): c for c in CASES.values() if c.family != "large-batch"}


@pytest.mark.parametrize("case", ONE_OF_EACH.values(), ids=lambda case: case.id)
def test_a_case_is_shown_with_its_inputs_and_what_is_expected(case):
    text = show(case)
    assert text.startswith(f"{case.id}\n  {case.comment}\n")
    assert all(f"  {name} {list(array.shape)}:" in text for name, array in case.inputs.items())
    if case.operation == "reject":
        assert "expected: a clear error" in text
    else:
        reference = case.question.expected["reference"]
        assert all(f"  expected {name}" in text for name in reference)
        others = case.question.policy_keys + case.question.alternative_keys
        assert all(f"    {key}: " in text for key in others)
