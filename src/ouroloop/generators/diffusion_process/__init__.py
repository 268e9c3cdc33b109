"""Diffusion as schedule x denoiser x sampler, with guidance as a denoiser that wraps a denoiser."""
