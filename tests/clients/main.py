"""Starts the simulator, lets the clients look, and judges what it saw: `main.py SIMULATOR`."""

import importlib
import importlib.metadata
import os
import sys
import tempfile

import readme
from checks import Checks
from simulator import Simulator

CLIENTS = ("instaloader", "tweepy")
# Time stands still, so that what is true stays true while a client asks.
WORLD = (
    ["--seed", "42", "--start", "1795262400000", "--speed", "0"]
    + ["--http-proxies", "1", "--expect-proxy", "--sessions", "4"]
    + ["--x-tokens", "2", "--x-spelling", "tweet"]
)
# What no client is counted for that comes by the proxy and uses a session once at a time.
FAULTS = (
    "direct_requests",
    "limits_broken",
    "session_overlaps",
    "session_address_changes",
    "requests_after_challenge",
    "requests_after_block",
)


def main(binary):
    every = []
    with tempfile.TemporaryDirectory() as folder, Simulator(binary, folder, *WORLD) as sim:
        # All that the clients are told.
        os.environ.clear()
        os.environ.update(sim.environment())
        for client in CLIENTS:
            checks = Checks(client)
            every.append(checks)
            look = importlib.import_module(f"with_{client}")
            print(f"{'':7} {client:12} {importlib.metadata.version(client)}, as published")
            sim.post("reset-audit")
            look.check(checks, sim)
            audit(checks, sim)
            look.check_refusals(checks, sim)
    with tempfile.TemporaryDirectory() as folder:
        every.append(Checks("README.md"))
        readme.check(every[-1], binary, folder)
    passed = sum(checks.passed for checks in every)
    failed = sum(checks.failed for checks in every)
    print(f"clients: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def audit(checks, sim):
    """What the platform saw of the client."""
    seen = sim.get("audit")
    asked = {route: count for route, count in seen["by_route"].items() if count}
    listed = ", ".join(f"{count} {route}" for route, count in asked.items())
    checks.that(f"{seen['total']} requests seen: {listed}", asked)
    checks.equal("none of them for something that is no endpoint", asked.get("other", 0), 0)
    for fault in FAULTS:
        checks.equal(f"0 {fault}", seen[fault], 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
