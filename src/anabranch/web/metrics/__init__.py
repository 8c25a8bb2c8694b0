"""What Prometheus reads at ``/metrics``.

``registry`` declares every metric once, ``text`` writes the exposition format, ``worker`` reads the
figures that tasks keep anyway, and ``process`` those of the operating system. Nothing is counted a
second time and nothing is counted record by record: a scrape costs what it reads.
"""

from anabranch.web.metrics.registry import METRICS, Metric, Sample
from anabranch.web.metrics.text import CONTENT_TYPE, render

__all__ = ["CONTENT_TYPE", "METRICS", "Metric", "Sample", "render"]
