"""Loops of many replicas at once, on sufficient statistics: what the laws of `ouroloop.theory` are compared with.

No model is refitted on rows where a statistic of the rows will do: a Gaussian's mean and scatter matrix are drawn
directly (a normal vector and Bartlett's factor of a Wishart matrix), least squares needs the inputs' second moments
only, and counts of categories are multinomial. So the cost of a generation depends neither on the rows in it nor on
the generations before it; only regime accumulate_subsample, which draws rows without replacement, keeps rows.

Generation t (index t - 1) is the t-th fit, the first being that to real data, as everywhere in `ouroloop.theory`.
"""

from ouroloop.theory.simulate.discrete import discrete_loop
from ouroloop.theory.simulate.gaussian import gaussian_loop
from ouroloop.theory.simulate.kde import kde_loop
from ouroloop.theory.simulate.regression import regression_loop

__all__ = ["discrete_loop", "gaussian_loop", "kde_loop", "regression_loop"]
