"""Correctors: what happens to synthetic samples before they are trained on.

Members: `identity`, `ideal`, `cluster`, `transport`, `nearest_real`, `deduplicate`, `histogram`, `curate`, `verifier`,
`chain`, and for motions `physics`, `contact`, `refloor`, `smooth`, `roundtrip`; `strength` gives each SCSC's
correction strength, `function` makes one of a plain function.

A corrector may carry two class attributes. ``whole_shard = True``: what it does to a row depends on the other rows
of the shard, so `Strength` shows it the whole shard and then takes its answer for the chosen rows only. A method
``for_generation()`` returns what corrects one generation, where shards have to know of one another.
``own_strength = True``: it has its own `correction_strength` and is not wrapped.
"""
