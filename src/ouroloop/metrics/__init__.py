"""Metrics: how far a model is from the real data, how diverse it is, and the alarm over them.

Members: `classes`, `diversity`, `energy`, `fid`, `gaussian_w2`, `kid`, `mmd`, `moments`, `nearest_real`, `prdc`,
`sliced_w2`, and of motions `matching`, `multimodality`, `physics_errors`; `alarm` judges what they measured. Each
module also has its formulas as plain functions.
"""
