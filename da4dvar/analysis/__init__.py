"""A learned model applied to labelled data.

`model` holds a network and what was learned with it; `problem` poses U for a data set, `analyse` minimises it
window by window, `ensemble`, `calibration` and `error_bars` state its error. Imports the floors up to
`baselines`; knows neither training nor files of models.
"""
