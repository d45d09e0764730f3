"""Templates in Jinja2, where it is installed. They are the user's own, and still run in the
sandbox: a template that came with data must not reach this program."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nemocli.core.faults import config_error, usage_error
from nemocli.core.values import Json


def jinja(template: str) -> Callable[[Mapping[str, Json]], str]:
    """The template as a function of a row's columns, which raises ValueError where one is missing.
    Raises NemoError for a template that is none."""
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise config_error("`--jinja` needs Jinja2", "`pip install 'nemocli[jinja]'`") from error
    world = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    try:
        compiled = world.from_string(template)
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f" (line {number})" if number else ""
        raise usage_error(f"--template: {error}{line}") from error

    def render(values: Mapping[str, Json]) -> str:
        try:
            return str(compiled.render(values))
        except (TemplateError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
            raise ValueError(str(error)) from error

    return render
