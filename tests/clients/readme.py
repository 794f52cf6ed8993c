"""The commands in the README of the simulator print what the README says."""

import pathlib
import re
import shlex
import subprocess
import sys

from simulator import Simulator

README = pathlib.Path(__file__).parents[2] / "story-checker-sim" / "README.md"
# Where things lie is up to us.
PLACES = ("--port", "--ca-out", "--write-sessions", "--write-tokens", "--write-proxies")


def check(checks, binary, folder):
    text = README.read_text().split("## Test your client against it")[1].split("```")[1]
    texts = dict(re.findall(r"^\$ cat (\S+)\n(.*?)\n\n(?=\$)", text, re.M | re.S))
    printed = dict(re.findall(r"^\$ python3 (\S+)\n(.*?)(?=\n\n\$|\n\Z)", text, re.M | re.S))
    words = re.search(r"^\$ story-checker-sim (.*?) &$", text, re.M | re.S)[1].replace("\\\n", "")
    paired = texts and texts.keys() == printed.keys()
    checks.that(f"{len(texts)} scripts, each with what it prints", paired)
    with Simulator(binary, folder, *kept(shlex.split(words))) as sim:
        for name, expected in printed.items():
            script = pathlib.Path(folder) / name
            script.write_text(texts[name])
            said = subprocess.run(
                [sys.executable, name],
                cwd=folder,
                env=sim.environment(),
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            checks.equal(f"{name} prints what it says", said.strip(), expected.strip())


def kept(words):
    """The arguments that are not about places."""
    pairs = zip(words, [None, *words])
    return [word for word, before in pairs if word not in PLACES and before not in PLACES]
