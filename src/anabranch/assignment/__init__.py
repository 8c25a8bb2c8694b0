"""Who gets which variant: hashing, targeting expressions, policies and the evaluator. Pure."""

from anabranch.assignment.check import compile_spec
from anabranch.assignment.context import ExperimentContext, Identified, unit_of
from anabranch.assignment.evaluation import Evaluation, Reason
from anabranch.assignment.evaluator import ExperimentEvaluator, PolicyChecker
from anabranch.assignment.explain import Explanation, explain, explain_in
from anabranch.assignment.expressions import Expression, compile_expression
from anabranch.assignment.hashing import bucket
from anabranch.assignment.plan import Moment, Plan, Undecided
from anabranch.assignment.policy import (
    FieldDecision,
    PolicyDecision,
    PolicyEngine,
    PolicyRelationship,
    PolicyRequest,
    PolicyResource,
    PolicySubject,
)
from anabranch.assignment.sticky import (
    AssignmentStore,
    MemoryAssignmentStore,
    StickyEvaluator,
    kept_run,
    names_of_unit,
)

__all__ = [
    "AssignmentStore",
    "Evaluation",
    "ExperimentContext",
    "ExperimentEvaluator",
    "Explanation",
    "Expression",
    "FieldDecision",
    "Identified",
    "MemoryAssignmentStore",
    "Moment",
    "Plan",
    "PolicyChecker",
    "PolicyDecision",
    "PolicyEngine",
    "PolicyRelationship",
    "PolicyRequest",
    "PolicyResource",
    "PolicySubject",
    "Reason",
    "StickyEvaluator",
    "Undecided",
    "bucket",
    "compile_expression",
    "compile_spec",
    "explain",
    "explain_in",
    "kept_run",
    "names_of_unit",
    "unit_of",
]
