"""README.md is true: its Python runs and shows what it says, its commands print what it says."""

import doctest
import shlex

import pytest
from readme import README, blocks

from jacobian.__main__ import main

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_python_shows_what_it_says() -> None:
    text = "\n".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(README), 0)
    assert test.examples
    report: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not outcome.failed, "".join(report)


def shown_commands() -> list[tuple[str, str]]:
    """Every `$ python -m jacobian …` in a console block, with the output that the README shows for it."""
    found = []
    for block in blocks("console"):
        for piece in block.split("$ ")[1:]:
            command, _, output = piece.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.parametrize(("command", "output"), shown_commands())
def test_commands_print_what_it_says(command: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)
    start = words.index("jacobian") + 1
    assert words[start - 2 : start] == ["-m", "jacobian"]
    assert main(words[start:]) == 0
    got = capsys.readouterr().out
    assert doctest.OutputChecker().check_output(output, got, FLAGS), got


def test_the_two_commands_come_first() -> None:
    first, second = blocks("sh")[:2]
    assert "pip install" in first
    assert "-m jacobian" in first
    assert "pip install" in second
    assert "-m pytest" in second


def test_the_first_command_is_one_that_is_shown() -> None:
    (command,) = [line for line in blocks("sh")[0].splitlines() if "-m jacobian" in line]
    assert any(shlex.split(command)[1:] == shlex.split(shown)[1:] for shown, _ in shown_commands())
