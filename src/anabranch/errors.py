"""Every error anabranch raises on purpose.

::

    AnabranchError
    ├── SpecError                      a specification is wrong, where and why
    │   ├── SpecLoadError              a file cannot be read or is not a spec file
    │   ├── SpecValidationError        a field is missing, unknown or of the wrong kind
    │   ├── SpecReferenceError         a spec names another that is not there
    │   ├── DuplicateSpecError         two specs share a key and version
    │   ├── UnknownSpecError           a registry has no such key or version
    │   └── OverrideError              a variant's override cannot be applied or taken back
    │       └── OverrideConflictError  two experiments change the same path of the same target
    ├── LifecycleError                 a spec may not be changed as asked
    │   ├── IllegalTransitionError     its state does not allow it; the message says what it does
    │   └── PublishConflictError       somebody else has published meanwhile, and who
    ├── ExpressionError                a targeting expression, with line and column
    │   ├── ExpressionSyntaxError      it does not parse, or reaches for what is not allowed
    │   ├── ExpressionLimitError       it is too long, too deep or takes too many steps
    │   └── ExpressionTypeError        JavaScript would throw a TypeError here
    ├── PolicyError                    a policy cannot be decided
    ├── InvalidEventError              a record no stage can process: it goes to the dead letters
    │   ├── EmptyEventError            null value
    │   ├── OversizedEventError        value above the limit
    │   ├── MalformedEventError        not JSON, or not a CloudEvent
    │   ├── EventSchemaError           a field or property is missing or of the wrong type
    │   ├── UnknownExperimentError     no such experiment, or no such version of it
    │   ├── UnknownVariantError        no such variant of the experiment
    │   ├── UndeclaredTelemetryError   no TelemetrySpec declares the event
    │   ├── MissingUnitError           no identity that the experiments are run on
    │   ├── FutureEventError           event time lies in the future
    │   └── LateEventError             event time lies before what is still kept
    ├── EngineError                    the runtime, not the data
    │   ├── FencedError                another owner has taken the partition over
    │   ├── OutcomeUnknownError        a commit neither succeeded nor failed for certain
    │   ├── ProcessingError            a processor raised something that is not an InvalidEventError
    │   ├── StateFormatError           a changelog was written by an unknown, newer format
    │   └── TopologyError              topics are missing or do not fit together
    ├── MissingPackageError            an optional package is not installed; how to get it
    ├── SettingsError                  a setting is missing or contradicts another
    ├── KafkaUnavailableError          no broker answers at the given address
    └── KafkaAccessError               the broker refuses our credentials, or a right is missing
"""

from __future__ import annotations


class AnabranchError(Exception):
    """The root: catch this to catch whatever anabranch raises on purpose."""


# -- specs ------------------------------------------------------------------------------------


class SpecError(AnabranchError):
    """A specification is wrong; the message says where and what to do."""


class SpecLoadError(SpecError):
    """A file cannot be read or does not hold specs."""


class SpecValidationError(SpecError):
    """A field of a spec is missing, unknown or of the wrong kind."""


class SpecReferenceError(SpecError):
    """A spec names another one that is not there; the message names both ends."""


class DuplicateSpecError(SpecError):
    """Two specs of one kind share a key and version."""


class UnknownSpecError(SpecError, LookupError):
    """A registry has no spec of that key, or not in that version."""


class OverrideError(SpecError):
    """A variant's override cannot be applied, or not taken back exactly; the message says why."""


class OverrideConflictError(OverrideError):
    """Two experiments that a unit can be in together change the same path of the same target."""


# -- lifecycle --------------------------------------------------------------------------------


class LifecycleError(AnabranchError):
    """A published spec may not be changed as asked; the message says what may be done."""


class IllegalTransitionError(LifecycleError):
    """The experiment's state does not allow it; the message says what it allows."""


class PublishConflictError(LifecycleError):
    """Somebody else has published the spec since it was looked at; the message says who."""


# -- expressions ------------------------------------------------------------------------------


class ExpressionError(AnabranchError):
    """A targeting expression is wrong.

    Args:
        message: What is wrong.
        source: The expression's text, where known.
        line: Line within the expression, from 1.
        column: Column within the line, from 1.
    """

    def __init__(
        self, message: str, *, source: str | None = None, line: int = 1, column: int = 1
    ) -> None:
        self.message = message
        self.source = source
        self.line = line
        self.column = column
        super().__init__(message)

    def __str__(self) -> str:
        head = f"line {self.line}, column {self.column}: {self.message}"
        if self.source is None:
            return head
        lines = self.source.splitlines() or [""]
        shown = lines[min(self.line, len(lines)) - 1]
        return f"{head}\n  {shown}\n  {' ' * (self.column - 1)}^"


class ExpressionSyntaxError(ExpressionError):
    """It does not parse, or it names something an expression may not reach."""


class ExpressionLimitError(ExpressionError):
    """It is too long, nested too deeply, or took too many steps."""


class ExpressionTypeError(ExpressionError):
    """JavaScript would throw a TypeError here, for example reading a property of undefined."""


class PolicyError(AnabranchError):
    """A policy cannot be decided."""


# -- events -----------------------------------------------------------------------------------


class InvalidEventError(AnabranchError):
    """A record that no stage can process; it goes to the dead letters with this as its reason."""


class EmptyEventError(InvalidEventError):
    """The record's value is null."""


class OversizedEventError(InvalidEventError):
    """The record's value is above the limit."""


class MalformedEventError(InvalidEventError):
    """The value is not JSON, or not a CloudEvent."""


class EventSchemaError(InvalidEventError):
    """A field or a property is missing or of the wrong type; the message names it."""


class UnknownExperimentError(InvalidEventError):
    """The event names an experiment, or a version of it, that is not in the registry."""


class UnknownVariantError(InvalidEventError):
    """The event names a variant that the experiment does not have."""


class UndeclaredTelemetryError(InvalidEventError):
    """No TelemetrySpec declares the event in that version."""


class MissingUnitError(InvalidEventError):
    """The event carries no identity that the experiments are run on."""


class FutureEventError(InvalidEventError):
    """The event's time lies further in the future than clocks may differ."""


class LateEventError(InvalidEventError):
    """The event's time lies before what is still kept."""


# -- engine -----------------------------------------------------------------------------------


class EngineError(AnabranchError):
    """Something is wrong with the runtime rather than with the data."""


class FencedError(EngineError):
    """Another owner has taken this partition over; nothing of ours was committed."""


class OutcomeUnknownError(EngineError):
    """A commit neither succeeded nor failed for certain; the task opens again to find out."""


class ProcessingError(EngineError):
    """A processor raised something that is not an :class:`InvalidEventError`."""


class StateFormatError(EngineError):
    """A changelog was written by a format this version does not know."""


class TopologyError(EngineError):
    """Topics are missing, or their partition counts do not fit together."""


# -- surroundings -----------------------------------------------------------------------------


class SettingsError(AnabranchError):
    """A setting is missing or contradicts another."""


class MissingPackageError(AnabranchError, ImportError):
    """Something was asked for that needs an optional package; the message says how to get it."""


class KafkaUnavailableError(AnabranchError):
    """No broker answers at the given address."""


class KafkaAccessError(AnabranchError):
    """The broker refuses our credentials, or does not grant a right; the message names it."""
