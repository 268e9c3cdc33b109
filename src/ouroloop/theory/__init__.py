"""What mathematics predicts: closed forms with their source and their regime of validity. Nothing here runs a loop.

Modules: `certificate` (is the loop certified stable, how fast does it contract), `rows` (which rows each generation
trains on, and the linear law they obey), `gaussian` (exact finite-sample laws), `wasserstein` (the expected W2),
`risk` (long-run multipliers of every regime), `forecast` (from a specification to curves).
"""
