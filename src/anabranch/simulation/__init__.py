"""Made-up traffic for anybody's experiment, with a known truth that results should find.

=============  =================================================================================
``behaviour``  what units do, by variant, and what the metrics would come to with infinitely many
``traffic``    who comes when, and the records that follow: late, doubled, early, crossing
=============  =================================================================================

Time and randomness come in as arguments: the same seed gives the same records.
"""

from anabranch.simulation.behaviour import Behaviour, Truth, plant
from anabranch.simulation.traffic import Faults, Traffic, simulated

__all__ = ["Behaviour", "Faults", "Traffic", "Truth", "plant", "simulated"]
