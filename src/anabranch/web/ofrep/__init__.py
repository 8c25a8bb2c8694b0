"""The evaluation API: experiments as flags, by the OpenFeature Remote Evaluation Protocol."""

from anabranch.web.ofrep.access import Access, Client, read_clients
from anabranch.web.ofrep.api import EvaluationApi
from anabranch.web.ofrep.limits import RateLimit

__all__ = ["Access", "Client", "EvaluationApi", "RateLimit", "read_clients"]
