"""Generative models that a loop fits and samples; see `ouroloop.registry` for their names.

| module             | class             | what                                                        |
|--------------------|-------------------|-------------------------------------------------------------|
| `gaussian`         | `Gaussian`        | closed form                                                 |
| `gaussian_mixture` | `GaussianMixture` | expectation maximisation                                    |
| `kde`              | `Kde`             | kernel density estimate                                     |
| `adapt`            | `adapt`           | any object with `fit(X)` and `sample(n)`                    |
| `command`          | `Command`         | two command lines, so any training code in any language     |
"""
