"""Tables of text and numbers to objects, and back.

A recipe and the header of a model file name a `kind` and its arguments; `registry` finds the class, `tables`
reads the files and checks their keys, `types` compares values with annotations. Imports the kinds that
`variational`, `fields` and `baselines` list. Nothing is imported or executed because a file says so.
"""
