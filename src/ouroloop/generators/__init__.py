"""Generative models that a loop fits and samples; see `ouroloop.registry` for their names.

| module             | part                 | what                                                                |
|--------------------|----------------------|---------------------------------------------------------------------|
| `gaussian`         | `Gaussian`           | one normal distribution, in closed form                             |
| `gaussian_mixture` | `GaussianMixture`    | expectation maximisation                                            |
| `kde`              | `Kde`                | kernel density estimate                                             |
| `diffusion`        | `Diffusion`          | diffusion or flow matching of points and tables                     |
| `image_diffusion`  | `ImageDiffusion`     | class-conditional diffusion of images                               |
| `flow`             | `Flow`               | normalising flow                                                    |
| `vae`              | `Vae`                | variational autoencoder                                             |
| `command`          | `Command`            | two command lines, so any training code in any language             |
| `adapt`            | `adapt`              | any object with `fit(X)` and `sample(n)`, such as an estimator      |
| `torch_generator`  | `TorchGenerator`     | a torch module that says how to build, train and sample a network   |

The other modules are shared: `classical` by the first three, `foreign` and `describe` by `adapt`, `command_line`,
`process`, `model_files` and `exchange` by `command`, the rest by those that need torch.
"""
