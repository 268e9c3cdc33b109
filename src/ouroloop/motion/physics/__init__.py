"""Physics for human motion: what is measured of it, and how it is corrected by a simulated humanoid.

`measures` and `corruptions` need NumPy and SciPy alone; `correct` needs MuJoCo (``pip install ouroloop[motion]``).
Positions at the doors are (frames, 22, 3) in metres, HumanML3D order, y up; inside, z is up (see `body`).
"""
