"""Every public name says what it does and shows it."""

import inspect

import pytest

import jacobian

NAMES = [name for name in jacobian.__all__ if not inspect.ismodule(getattr(jacobian, name))]
CALLABLE = [
    name
    for name in NAMES
    if callable(getattr(jacobian, name))
    and not (inspect.isclass(getattr(jacobian, name)) and issubclass(getattr(jacobian, name), BaseException))
]


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name: str) -> None:
    text = inspect.getdoc(getattr(jacobian, name))
    assert text
    assert text.splitlines()[0].strip()


@pytest.mark.parametrize("name", CALLABLE)
def test_public_functions_show_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(getattr(jacobian, name)) or ""), f"{name} has no example"


def public_members() -> list[tuple[str, str]]:
    return [
        (name, member)
        for name in CALLABLE
        if inspect.isclass(getattr(jacobian, name))
        for member, value in vars(getattr(jacobian, name)).items()
        if not member.startswith("_") and (callable(value) or isinstance(value, property | classmethod | staticmethod))
    ]


@pytest.mark.parametrize(("name", "member"), public_members())
def test_public_methods_are_documented(name: str, member: str) -> None:
    assert inspect.getdoc(getattr(getattr(jacobian, name), member))
