"""The list of deliberate differences and the rules that know them belong together."""

import rules


def test_every_rule_is_a_row_of_the_document():
    assert {id for id, _ in rules.RULES} <= set(rules.documented())


def test_every_row_has_a_number_of_its_own():
    rows = rules.documented()
    assert sorted(rows) == sorted(set(rows))
