"""The command line: parse, call, print. `autowarmup VERB --help` lists every option, and
`autowarmup --version` says which one this is.

Exit codes: 0 done, 1 a run diverged or failed, 2 a mistake in what was asked for, 130 interrupted.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import warnings
from importlib import metadata

try:
    import rich  # noqa: F401
    import tyro
except ModuleNotFoundError as error:  # the library itself needs neither
    print(
        f"error: the autowarmup command needs {error.name}: expected "
        "`pip install 'autowarmup[all]'`",
        file=sys.stderr,
    )
    raise SystemExit(2) from None

from autowarmup.lab.extras import sentence
from autowarmup.lab.help_text import fit_helps
from autowarmup.lab.train.earlier import refuse_earlier_options
from autowarmup.lab.verbs import typed
from autowarmup.lab.verbs.bench import bench
from autowarmup.lab.verbs.compare import compare
from autowarmup.lab.verbs.measure import measure
from autowarmup.lab.verbs.replay import replay
from autowarmup.lab.verbs.schedule import schedule
from autowarmup.lab.verbs.theory import theory
from autowarmup.lab.verbs.train import train

VERBS = {
    "train": train,
    "measure": measure,
    "bench": bench,
    "compare": compare,
    "schedule": schedule,
    "replay": replay,
    "theory": theory,
}
_MOVED = {"report": "autowarmup bench --draw --out DIR"}
_PLAINER = {"█": "#", "━": "-", "─": "-", "–": "-", "−": "-", "…": "...", "≥": ">=", "×": "x"}
"""What stands for signs that a terminal of another encoding, as in a pipe on Windows, lacks."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    typed.words[:] = sys.argv[1:] if arguments is None else arguments
    first = os.environ.get("RANK", "0") == "0"  # of all processes that torchrun started
    if typed.words in (["--version"], ["-V"]):
        print(f"autowarmup {metadata.version('autowarmup')}")
        return 0
    codecs.register_error("plainer", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainer")
    try:
        _check_verb()
        refuse_earlier_options(typed.words)
        warnings.formatwarning = _one_line
        # Fields that the recipe fills have no default of their type.
        warnings.filterwarnings("ignore", message="The field .* is annotated with type")
        fit_helps(VERBS.values())
        return tyro.extras.subcommand_cli_from_dict(
            VERBS,
            args=arguments,
            prog="autowarmup",
            config=(tyro.conf.DisallowNone,),
            description="Learning-rate warm-up without tuning (--version prints the version).",
        )
    except KeyboardInterrupt as stop:
        if first:
            print(str(stop) or "interrupted", file=sys.stderr)
        return 130
    except (BrokenPipeError, SystemExit) as left:  # whoever read our output, as `| head` does
        if isinstance(left, SystemExit) and not isinstance(left.__context__, BrokenPipeError):
            raise  # rich makes the one of the other
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ModuleNotFoundError) as error:
        # All processes meet the same mistakes, but the first may be the one that is gone.
        if first or isinstance(error, ConnectionError):
            print(f"error: {_told(error)}", file=sys.stderr)
        return 2
    finally:
        torch = sys.modules.get("torch")  # never loaded for this
        if torch is not None and "WORLD_SIZE" in os.environ and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _told(error: Exception) -> str:
    """Return a mistake as a sentence, also where Python gives a number and a file's name."""
    if isinstance(error, ModuleNotFoundError):
        return sentence(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Return what is written for signs that cannot be encoded."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(_PLAINER.get(sign, "?") for sign in signs), error.end


def _one_line(message: object, *_: object, **__: object) -> str:
    """Return a warning as people read it: without the line of our code."""
    return f"warning: {message}\n"


def _check_verb() -> None:
    """Refuse verbs of earlier versions, and those that every process would do on its own."""
    verb, count = typed.verb(), int(os.environ.get("WORLD_SIZE", "1"))
    if verb in _MOVED:
        raise ValueError(f"{verb}: expected `{_MOVED[verb]}`, which took its place")
    if count > 1 and verb in VERBS and verb != "train":
        raise ValueError(f"{verb}: expected a single process, got {count}; only train shares work")


if __name__ == "__main__":
    raise SystemExit(main())
