"""Numbered events over HTTP while the mesh is killed again and again: nothing lost, nothing doubled.

    python3 xtask/checks/kills.py PROGRAM --events 1000000 --kills 20

Clients send bodies of numbered events; what is not acknowledged they send again, and now and then
also what was, as after a lost answer. The mesh is killed with SIGKILL at random moments. At the
end every number must be there exactly once. Prints one line; exits with 1 when a number is missing
or doubled.
"""

import argparse
import http.client
import json
import os
import pathlib
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

BODY_EVENTS = 1000
CLIENTS = 4
# One acknowledged body in so many is sent again.
AGAIN = 10
START_SECONDS_MAX = 120

EVENT = (
    '{"class_uid":3002,"category_uid":3,"activity_id":1,"type_uid":300201,"severity_id":1,"time":1763924400000,'
    '"message":"log-on %d","metadata":{"version":"1.8.0","uid":"event-%d","product":{"name":"Test","vendor_name":"Test"}},'
    '"user":{"name":"ada"},"src_endpoint":{"ip":"192.0.2.17"}}'
)


def body(first, count):
    return "\n".join(EVENT % (n, n) for n in range(first, first + count)).encode()


class Mesh:
    """The running mesh; replaced by a new one after each kill."""

    def __init__(self, program, home):
        self.program, self.home = program, home
        self.lock = threading.Lock()
        self.process = self.address = self.token = None
        self.restarts = 0.0

    def start(self):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [self.program, "up", "--listen", "127.0.0.1:0", "--data", self.home],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        run = pathlib.Path(self.home, "run.json")
        while time.monotonic() < begun + START_SECONDS_MAX:
            try:
                said = json.loads(run.read_text())
                if said["pid"] == self.process.pid:
                    self.address, self.token = said["address"].removeprefix("http://"), said["token"]
                    self.restarts = max(self.restarts, time.monotonic() - begun)
                    return
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(0.02)
        sys.exit("the mesh did not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(timeout=600) != 0:
            sys.exit("the mesh did not end well")


class Client(threading.Thread):
    """Sends what is in `work` until it is acknowledged."""

    def __init__(self, mesh, work, acknowledged, dice):
        super().__init__(daemon=True)
        self.mesh, self.work, self.acknowledged, self.dice = mesh, work, acknowledged, dice

    def run(self):
        while True:
            try:
                first, count = self.work.get_nowait()
            except queue.Empty:
                return
            payload = body(first, count)
            while not self.send(payload):
                time.sleep(0.05)
            self.acknowledged.put(count)
            if self.dice.randrange(AGAIN) == 0:
                self.send(payload)

    def send(self, payload):
        try:
            connection = http.client.HTTPConnection(self.mesh.address, timeout=60)
            headers = {"authorization": f"Bearer {self.mesh.token}", "content-type": "application/x-ndjson"}
            connection.request("POST", "/ingest/ocsf/event", payload, headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False


FORGETFUL = """
import http.server, pathlib, sys, threading, time
kept, waiting = pathlib.Path(sys.argv[1]), []
def write():
    while True:
        time.sleep(0.2)
        batch = waiting[:]
        del waiting[:len(batch)]
        with kept.open("ab") as file:
            file.write(b"".join(batch))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        waiting.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
threading.Thread(target=write, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def control(kills, dice):
    """A receiver that answers before it writes, killed the same way: what it acknowledged and lost."""
    folder = tempfile.mkdtemp(prefix="weft-kills-control-")
    kept, acknowledged = pathlib.Path(folder, "kept"), set()
    for kill in range(kills):
        process = subprocess.Popen([sys.executable, "-c", FORGETFUL, str(kept)], stdout=subprocess.PIPE, text=True)
        port = int(process.stdout.readline())
        for number in range(40):
            line = f"{kill} {number}\n"
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/", line.encode())
            if connection.getresponse().status == 200:
                acknowledged.add(line)
        time.sleep(dice.random() * 0.1)
        process.kill()
        process.wait()
    there = set(kept.read_text().splitlines(keepends=True)) if kept.exists() else set()
    subprocess.run(["rm", "-rf", folder], check=False)
    return len(acknowledged - there)


def number(program, home, sql):
    said = subprocess.run([program, "query", sql, "--format", "csv", "--data", home], capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(said.stderr)
    return int(said.stdout.splitlines()[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--control", action="store_true", help="also a receiver that acknowledges from memory: it has to lose")
    given = arguments.parse_args()
    dice = random.Random(given.seed)
    home = tempfile.mkdtemp(prefix="weft-kills-")
    mesh = Mesh(os.path.abspath(given.program), home)
    work, acknowledged = queue.Queue(), queue.Queue()
    for first in range(0, given.events, BODY_EVENTS):
        work.put((first, min(BODY_EVENTS, given.events - first)))
    # Numbers of acknowledged events at which the next kill falls.
    kills = sorted(dice.randrange(given.events) for _ in range(given.kills))
    begun = time.monotonic()
    mesh.start()
    clients = [Client(mesh, work, acknowledged, random.Random(dice.random())) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    safe, killed = 0, 0
    while safe < given.events:
        safe += acknowledged.get(timeout=START_SECONDS_MAX)
        while killed < len(kills) and safe >= kills[killed]:
            # Somewhere within the next commits, not at an acknowledgement.
            time.sleep(dice.random() * 0.3)
            mesh.kill()
            killed += 1
            mesh.start()
    for client in clients:
        client.join()
    sending = time.monotonic() - begun
    mesh.stop()
    ledger = subprocess.run([mesh.program, "ledger", "--deep", "--data", home], capture_output=True, text=True)
    there = number(mesh.program, home, "SELECT count(*) FROM authentication")
    different = number(mesh.program, home, "SELECT count(DISTINCT message) FROM authentication")
    lost, doubled = given.events - different, there - different
    print(
        f"{given.events} events, {killed} kills: lost {lost}, doubled {doubled}; {sending:.0f} s until all were acknowledged, "
        f"slowest start {mesh.restarts:.1f} s, the ledger {'balances' if ledger.returncode == 0 else 'does not balance: ' + ledger.stderr}"
    )
    subprocess.run(["rm", "-rf", home], check=False)
    forgotten = control(min(given.kills, 5), dice) if given.control else None
    if forgotten is not None:
        print(f"control: lost {forgotten}")
    sys.exit(1 if lost or doubled or ledger.returncode or forgotten == 0 else 0)


if __name__ == "__main__":
    main()
