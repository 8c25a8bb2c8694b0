from hypothesis import given
from hypothesis import strategies as st

from anabranch.events.ids import context_name, output_ids


def ids(source, event_id, run=b"e@1.0.0"):
    return output_ids(context_name(source, event_id), run)


def test_ids_are_fixed_for_good():
    assert ids("shop", "e-1") == (
        b"assignment-2eae72d7cf740ffad8f6943282b08d73",
        b"exposure-2eae72d7cf740ffad8f6943282b08d73",
    )


def test_runs_have_ids_of_their_own():
    assert len({ids("shop", "e-1", run) for run in (b"e@1.0.0", b"e@1.0.1", b"f@1.0.0")}) == 3


@given(st.text(), st.text(), st.text(), st.text())
def test_only_the_same_context_has_the_same_ids(source, event_id, other_source, other_id):
    same = (source, event_id) == (other_source, other_id)
    assert (ids(source, event_id) == ids(other_source, other_id)) == same


def test_names_do_not_run_into_each_other():
    assert ids("a b", "c") != ids("a", "b c")
    assert ids("a", " b") != ids("a ", "b")
