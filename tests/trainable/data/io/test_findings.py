"""The table names files by kind of problem, errors first, and does not run on for thousands of lines."""

import pickle

from trainable.data.io.findings import DataError, Finding, Severity, format_table, kinds_of


def finding(file: str, action: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(file=file, problem=f"{file} is wrong", action=action, severity=severity)


def test_the_table_groups_by_what_to_do_with_errors_first():
    rows = [finding("a", "Look.", Severity.WARNING), finding("bb", "Mend it."), finding("c", "Mend it.")]
    assert format_table(rows) == (
        "error: Mend it.\n  bb  bb is wrong\n  c   c is wrong\nwarning: Look.\n  a  a is wrong"
    )


def test_a_thousand_alike_do_not_hide_another_kind():
    rows = [finding(f"{number}", "Mend it.") for number in range(1000)] + [finding("last", "Other.")]
    table = format_table(rows, max_rows=4)
    assert table.splitlines()[5:] == ["  and 996 more", "error: Other.", "  last  last is wrong"]


def test_a_kind_keeps_its_first_ten_and_the_number_of_all():
    rows = [finding(f"{number}", "Mend it.") for number in range(1000)] + [finding("last", "Look.", Severity.NOTE)]
    mend, look = kinds_of(rows)
    assert (mend.severity, mend.action, mend.number) == (Severity.ERROR, "Mend it.", 1000)
    assert mend.first == tuple((f"{number}", f"{number} is wrong") for number in range(10))
    assert (look.number, look.first) == (1, (("last", "last is wrong"),))


def test_the_error_carries_its_table_through_a_process_boundary():
    error = pickle.loads(pickle.dumps(DataError("Sentence.", [finding("a", "Mend it.")])))
    assert str(error) == "Sentence.\nerror: Mend it.\n  a  a is wrong"
    assert error.findings == (finding("a", "Mend it."),)


def test_notes_are_not_part_of_an_error():
    assert str(DataError("Sentence.", [finding("a", "b", Severity.NOTE)])) == "Sentence."
