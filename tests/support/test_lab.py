"""What the lab does without being asked: a test that lacks something says so, and fails in CI."""

import pytest

from support.lab import need


@pytest.mark.parametrize("ci,outcome", [("true", pytest.fail.Exception), (None, pytest.skip.Exception)])
def test_a_missing_program_fails_in_ci_and_is_named_elsewhere(monkeypatch, ci, outcome):
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    need({"sh": "dash"})
    with pytest.raises(outcome, match=r"no-such-program is not installed \(Debian package nowhere\)"):
        need({"sh": "dash", "no-such-program": "nowhere"})
