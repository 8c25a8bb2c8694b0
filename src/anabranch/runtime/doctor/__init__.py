"""What keeps a worker from running well, each finding with what mends it.

``findings`` says what a finding is; ``topics``, ``rights``, ``broker``, ``stages`` and ``state``
hold facts against what should be, without asking anybody; ``examine`` asks.
"""

from anabranch.runtime.doctor.examine import examine
from anabranch.runtime.doctor.findings import Finding, Level, worst

__all__ = ["Finding", "Level", "examine", "worst"]
