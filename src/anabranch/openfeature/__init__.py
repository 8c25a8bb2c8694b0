"""OpenFeature in-process: experiments as flags without a request. Needs the extra ``openfeature``.

For applications that ask over HTTP instead, ``anabranch serve`` speaks OFREP, and OpenFeature's own
provider for that protocol is the remote one.
"""

from anabranch.openfeature.provider import AnabranchProvider, Use

__all__ = ["AnabranchProvider", "Use"]
