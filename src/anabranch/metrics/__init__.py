"""What observations add up to: attribution, windows, sketches and statistics. Pure.

===================  ===========================================================================
``exact``            numbers that add up to the cent, whatever their order
``plan``             a catalog compiled into what the stages look up per event
``ledger``           what a unit did lately
``totals``           what a unit's totals come to, and what their change moves
``attribution``      which of it counts, for which variant of which experiment
``moments``          what is kept of a metric over all units
``changes``          what one batch changes in one run
``sketch``           quantiles (DDSketch)
``watermark``        how far event time has come
``windows``          tumbling windows: bounds, names, settings
``welch``            difference of two means (Welch's t)
``sequential``       difference of two means that may be watched (confidence sequence)
``sample_ratio``     sample ratio mismatch (chi-square; sequential multinomial test)
``multiplicity``     several p-values at once (Holm; Benjamini-Hochberg)
``power``            how many units an experiment needs, and what it can find
``results``          a run's moments as figures and comparisons
===================  ===========================================================================
"""
