"""The simulator as a child process, and its admin API."""

import http.cookiejar
import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.parse
import urllib.request

# Past any proxy of the environment: the admin API is no part of what is simulated.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Simulator:
    """Runs while the `with` block does. Its files lie in `folder`."""

    def __init__(self, binary, folder, *arguments):
        self.folder = pathlib.Path(folder)
        self.command = [
            binary,
            *arguments,
            "--ca-out", self.folder / "ca.pem",
            "--write-proxies", self.folder / "proxies.txt",
            "--write-sessions", self.folder / "sessions",
            "--write-tokens", self.folder / "tokens",
        ]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the simulator did not start: exit code {self.process.wait()}")
        self.admin = json.loads(line)["http"] + "/_sim/"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def environment(self):
        """What a client is told by: its proxy and whom to trust, nothing else."""
        named = {
            "HTTPS_PROXY": (self.folder / "proxies.txt").read_text().split()[0],
            "REQUESTS_CA_BUNDLE": str(self.folder / "ca.pem"),
            "NETRC": os.devnull,
        }
        proxies = ("all_proxy", "http_proxy", "https_proxy", "no_proxy", "curl_ca_bundle")
        kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
        return {**kept, **named}

    def cookies(self, session):
        """The cookies of a session by name."""
        jar = http.cookiejar.MozillaCookieJar(self.folder / "sessions" / f"{session}.cookies.txt")
        jar.load()
        return {cookie.name: cookie.value for cookie in jar}

    def bearer_token(self, number):
        """A token of the X API."""
        file = self.folder / "tokens" / f"x_{number}.x.json"
        return json.loads(file.read_text())["bearer_token"]

    def get(self, path, **parameters):
        return self._ask("GET", path, parameters)

    def post(self, path, body=None, **parameters):
        return self._ask("POST", path, parameters, body)

    def delete(self, path):
        return self._ask("DELETE", path, {})

    def _ask(self, method, path, parameters, body=None):
        url = f"{self.admin}{path}?{urllib.parse.urlencode(parameters)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        try:
            with DIRECT.open(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {url}: {error.read().decode()}") from error
