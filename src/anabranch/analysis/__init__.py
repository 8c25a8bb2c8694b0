"""Results in notebooks: from a topic, from event files, or from a data frame.

::

    from anabranch import analysis

    found = analysis.read_events("events.jsonl", specs="specs", looks=50)
    found.comparisons()                       # a data frame, a row for each variant and metric
    found.plot("visits")                      # effect with its interval over time

===================  ===========================================================================
``sources``          where results come from: ``read_topic``, ``rebuild``, ``read_events``,
                     ``read_frame``
``segments``         ``read_segments``: the same by an attribute of the units
``units``            ``read_units``: a table that has a row for each unit
``report``           :class:`Analysis`, what all of them give
``outlook``          least difference that is found, how long an experiment still takes
``rows``             results as rows of plain values
``frames``           rows to data frames and back, with pandas or polars
``plots``            effects with their intervals over time, with matplotlib
===================  ===========================================================================

The numbers are the pipeline's own, by the same functions. Tables need pandas or polars and plots
need matplotlib, which come with ``pip install 'anabranch[analysis]'``; nothing else does.
"""

from anabranch.analysis.outlook import Outlook
from anabranch.analysis.report import Analysis
from anabranch.analysis.segments import read_segments
from anabranch.analysis.sources import read_events, read_frame, read_topic, rebuild
from anabranch.analysis.units import UnitMetric, read_units

__all__ = [
    "Analysis",
    "Outlook",
    "UnitMetric",
    "read_events",
    "read_frame",
    "read_segments",
    "read_topic",
    "read_units",
    "rebuild",
]
