"""Porting recipes: what to set and convert so that a layer of one library does as that of another did.

Data flows one way: a layer of each library is trained and what it holds is written down (`train`,
in that library's environment); each target takes over all of them, once naively and once by the
recipe, and is held against the exact result of the source's definition (`port`, in the target's);
the report is made of what was written. One file of `layers/` knows one library.
"""
