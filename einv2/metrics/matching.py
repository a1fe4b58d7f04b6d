"""Which estimate is which reference: one-to-one matching within groups of rows, for the frame tables of many clips at once.

A frame table may hold one clip, or many, told apart by a column ``clip`` (int). Units: degrees, great-circle.
"""
