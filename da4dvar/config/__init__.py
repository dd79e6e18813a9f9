"""Tables of text and numbers to objects, and back.

A recipe and the header of a model file name a `kind` and its arguments; `kinds` knows the class of each kind,
`registry` builds and describes objects, `tables` reads the files and checks their keys, `types` compares
values with annotations. Imports the lists `kinds` of `variational`, `fields` and `baselines`. Because a file
says so, nothing is imported or executed but what these lists, `register` or an installed package name.
"""
