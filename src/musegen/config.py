"""Classes that remember how they were built, so that a checkpoint can carry the recipe beside the weights."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any


class Configurable:
    """Record the constructor's arguments as a JSON-able recipe.

    ``self.config`` is ``{"class_path": ..., "init_args": {...}}``, the same shape that a LightningCLI YAML has, with
    nested `Configurable` arguments as nested recipes and defaults filled in. Constructors take no ``*args`` and no
    ``**kwargs``; their arguments are numbers, strings, booleans, None, lists, dicts and other `Configurable` objects.
    """

    config: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" not in vars(cls):
            return
        build = cls.__init__
        signature = inspect.signature(build)

        @functools.wraps(build)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            outermost = "config" not in vars(self)
            if outermost:
                bound = signature.bind(self, *args, **kwargs)
                bound.apply_defaults()
                init_args = {name: recipe(value) for name, value in list(bound.arguments.items())[1:]}
                class_path = f"{type(self).__module__}.{type(self).__qualname__}"
                object.__setattr__(self, "config", {"class_path": class_path, "init_args": init_args})
            build(self, *args, **kwargs)

        cls.__init__ = init  # type: ignore[method-assign]

    def __init__(self) -> None:
        if "config" not in vars(self):
            class_path = f"{type(self).__module__}.{type(self).__qualname__}"
            object.__setattr__(self, "config", {"class_path": class_path, "init_args": {}})
        super().__init__()


def recipe(value: Any) -> Any:
    """Turn a constructor argument into JSON-able data.

    Raises:
        TypeError: for a value that a config file could not have written.
    """
    if isinstance(value, Configurable):
        return value.config
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): recipe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [recipe(item) for item in value]
    raise TypeError(f"a constructor argument that can be saved is plain data or a Configurable, got {type(value)}")
