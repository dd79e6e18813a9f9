"""Conversion of tables of text and numbers to objects, and back.

A recipe and the header of a model file name a `kind` and its arguments. `kinds` knows the class of each kind,
`registry` builds and describes objects, `tables` reads recipes and checks keys, and `types` compares values
with annotations. Imports the lists `kinds` of `variational`, `fields` and `baselines`. A file can only cause
the import of classes that these lists, `register` or an installed package name.
"""
