"""How long `lightconv demo` takes to be there, and to answer: python benchmarks/demo.py."""

import http.client
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STARTS, ANSWERS = 5, 200
LEFT = [[0.7 - 0.15 * (k % 2), 0.15 + 0.07 * k] for k in range(11)]  # two zigzags of eleven points
RIGHT = [[x + 0.5, y] for x, y in LEFT]
QUESTIONS = {
    "one digit": ("/drawing", {"strokes": [LEFT], "digits": 1}),
    "two digits": ("/drawing", {"strokes": [LEFT, RIGHT], "digits": 2}),
    "signal": ("/signal", {"signal": [(k % 7 - 3) / 2 for k in range(40)]}),
}


def start() -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, str(ROOT / "cli.py"), "demo", "--no_browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    match = re.search(r":(\d+)/", process.stdout.readline())
    assert match is not None
    return process, int(match[1])


def main() -> None:
    walls = []
    for _ in range(STARTS):
        began = time.perf_counter()
        process, port = start()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/")
        connection.getresponse().read()
        walls.append(time.perf_counter() - began)
        process.kill()
        process.wait()
    starting = used_by_children() / STARTS
    print(f"from the command to the page: {statistics.median(walls):.2f} s, {starting:.2f} s of processor time")

    process, port = start()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for name, (path, question) in QUESTIONS.items():
        times = []
        for _ in range(ANSWERS):
            began = time.perf_counter()
            connection.request("POST", path, json.dumps(question), {"Content-Type": "application/json"})
            answer = connection.getresponse().read()
            times.append(time.perf_counter() - began)
        assert b"probabilities" in answer
        print(f"{name}: {1000 * statistics.median(times):.1f} ms from question to answer, {len(answer):,} bytes")
    process.kill()
    process.wait()
    answering = used_by_children() - starting * (STARTS + 1)
    print(f"processor time an answer: {1000 * answering / ANSWERS / len(QUESTIONS):.1f} ms")


def used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
