"""The evaluation API: experiments as flags, by the OpenFeature Remote Evaluation Protocol."""

from anabranch.web.access import Access, Client, read_clients
from anabranch.web.limits import RateLimit
from anabranch.web.ofrep.api import EvaluationApi

__all__ = ["Access", "Client", "EvaluationApi", "RateLimit", "read_clients"]
