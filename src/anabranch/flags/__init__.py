"""Experiments as feature flags, in OpenFeature's terms: context in, value and reason out. Pure.

The evaluation API and the OpenFeature providers both speak through here, so that a flag has one
value whoever asks.
"""

from anabranch.flags.answers import Answer, Reason, answer_of
from anabranch.flags.context import context_of
from anabranch.flags.exposures import ExposureEvent, exposure_event

__all__ = [
    "Answer",
    "ExposureEvent",
    "Reason",
    "answer_of",
    "context_of",
    "exposure_event",
]
