"""Data sets: where real rows come from. Each is a frozen set of options whose `load` gives a `LoadedDataset`.

Members: `arrays` (your files, or arrays in memory by `from_arrays`), `digits` (bundled 8x8 images), `gaussian`
and `mixture` (known 2-D targets with exact samplers), `mnist` (28x28 images, from files or downloaded).
"""
