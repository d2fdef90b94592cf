"""The search: random cases outside the catalogue, certified on the fly, judged, and shrunk to what a person can read.

`strategies` draws cases, `numbers` the values in them; `hunt` puts them to implementations in a
process of its own; `make` starts those and gathers what they found; `right` is for kernels that
are known to be right.
"""
