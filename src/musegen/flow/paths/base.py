"""The path between noise and data, and what a network's prediction means on it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from musegen.config import Configurable


class Path(Configurable, ABC):
    """A Gaussian path ``x_t = alpha(t) · data + sigma(t) · noise``, noise at t = 0 and data at t = 1.

    Times are ``[batch]`` (or a scalar tensor) and broadcast over the items' own axes. What a network predicts on a path
    is always signed "towards data".
    """

    @abstractmethod
    def alpha(self, time: Tensor) -> Tensor:
        """Scale of the data, 0 at t = 0 and 1 at t = 1."""

    @abstractmethod
    def sigma(self, time: Tensor) -> Tensor:
        """Scale of the noise, 1 at t = 0 and 0 at t = 1."""

    @abstractmethod
    def target(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What the network learns to predict."""

    @abstractmethod
    def velocity(self, prediction: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """dx/dt of the probability-flow ODE."""

    @abstractmethod
    def denoised(self, prediction: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """The expected data, E[data | x_t]."""

    @abstractmethod
    def prediction(self, denoised: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """The inverse of `denoised`: the prediction that would give it."""

    @abstractmethod
    def time_at(self, noise_level: Tensor) -> Tensor:
        """The inverse of `noise_level`."""

    def noise_level(self, time: Tensor) -> Tensor:
        """Noise per data, sigma / alpha: infinite at t = 0, 0 at t = 1. It is what k-diffusion calls sigma."""
        return self.sigma(time) / self.alpha(time)

    def follow(self, prediction: Tensor, x: Tensor, time: Tensor, end: Tensor) -> Tensor:
        """Where ``x`` is carried from ``time`` below 1 to ``end`` if data and noise are what a prediction says.

        It is a step of DDIM (2020, https://arxiv.org/abs/2010.02502); on a straight path, one along the velocity.
        """
        denoised = self.denoised(prediction, x, time)
        time, end = expand(time, x), expand(end, x)
        shrink = self.sigma(end) / self.sigma(time)
        return shrink * x + (self.alpha(end) - shrink * self.alpha(time)) * denoised

    def leading(self, x: Tensor, time: Tensor, reached: Tensor, end: Tensor) -> Tensor:
        """The inverse of `follow`: the prediction that carries ``x`` at ``time`` to ``reached`` at ``end``."""
        wide, wide_end = expand(time, x), expand(end, x)
        shrink = self.sigma(wide_end) / self.sigma(wide)
        denoised = (reached - shrink * x) / (self.alpha(wide_end) - shrink * self.alpha(wide))
        return self.prediction(denoised, x, time)

    def interpolate(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The noisy item x_t, shaped like ``data``."""
        time = expand(time, data)
        return self.alpha(time) * data + self.sigma(time) * noise


def expand(time: Tensor, like: Tensor) -> Tensor:
    """Give ``[batch]`` times as many axes as ``like`` has, so that they broadcast; a scalar fits anyway.

    Left a scalar, it takes part in arithmetic on any device without changing the dtype of what it meets.
    """
    return time if time.ndim == 0 else time.reshape(time.shape + (1,) * (like.ndim - time.ndim))
