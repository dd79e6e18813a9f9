"""Application of a learned model to labelled data.

`model` holds a network and the record of what was learned. `problem` sets up the minimisation of U for a data
set, `analyse` solves it window by window, and `ensemble`, `calibration` and `error_bars` estimate the error.
The package imports those up to `baselines` and depends on neither training nor model files.
"""
