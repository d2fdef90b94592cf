"""A program of the protocol in plain Python that does harm on its third request: child.py HARM [LOG].

LOG gets a line for its process number and one for each line that it reads.
"""

import base64
import json
import math
import os
import struct
import subprocess
import sys
import time

HARM = sys.argv[1]
LOG = open(sys.argv[2], "a", buffering=1) if len(sys.argv) > 2 else None  # noqa: SIM115
GREETING = {
    "batchnorm-conformance": 1,
    "operations": ["train", "update"],
    "devices": ["cpu", "cuda"],
    "reads": ["base64"] if HARM == "reads-base64" else [],
}


def train(x, gamma, beta, epsilon):
    """y of one column."""
    mean = math.fsum(x) / len(x)
    var = math.fsum((value - mean) ** 2 for value in x) / len(x)
    return [gamma * (value - mean) / math.sqrt(var + epsilon) + beta for value in x], mean, var


def values(tensor):
    if "base64" in tensor:
        raw = base64.b64decode(tensor["base64"])
        return struct.unpack(f"<{len(raw) // 4}f", raw)
    return tensor["values"]


def answer(request):
    inputs = request["inputs"]
    x, shape = values(inputs["x"]), inputs["x"]["shape"]
    columns = [x[c :: shape[1]] for c in range(shape[1])]
    if request["operation"] == "update":
        rate = request["rate"]
        old = zip(inputs["running_mean"]["values"], inputs["running_var"]["values"], strict=True)
        moments = [train(column, 1, 0, 1)[1:] for column in columns]
        pairs = [
            [(1 - rate) * a + rate * b for a, b in zip(*both, strict=True)]
            for both in zip(old, moments, strict=True)
        ]
        outputs = dict(zip(("running_mean", "running_var"), zip(*pairs, strict=True), strict=True))
        outputs = {name: {"shape": shape[1:], "values": list(v)} for name, v in outputs.items()}
        return {"id": request["id"], "outputs": outputs}
    affine = zip(inputs["gamma"]["values"], inputs["beta"]["values"], strict=True)
    done = [train(c, *pair, request["epsilon"])[0] for c, pair in zip(columns, affine, strict=True)]
    y = [number for row in zip(*done, strict=True) for number in row]
    if HARM == "reads-base64":
        raw = struct.pack(f"<{len(y)}f", *y)
        return {
            "id": request["id"],
            "outputs": {"y": {"shape": shape, "base64": base64.b64encode(raw).decode()}},
        }
    return {"id": request["id"], "outputs": {"y": {"shape": shape, "values": y}}}


def write(line):
    sys.stdout.buffer.write(line if isinstance(line, bytes) else line.encode())
    sys.stdout.buffer.flush()


def harm(right):
    """Do it; what is written in the place of the right answer."""
    line = json.dumps(right)
    if HARM == "segfault":
        import ctypes

        print("about to\x1b[31m read\nat 0", file=sys.stderr, flush=True)
        ctypes.string_at(0)
    elif HARM == "exit":
        os._exit(7)
    elif HARM == "leave-a-flood":
        flood = "import sys\nfor k in range(10**12): print(k, file=sys.stderr)"
        subprocess.Popen([sys.executable, "-I", "-S", "-c", flood])
        time.sleep(0.2)
        os._exit(7)
    elif HARM == "cut-off":
        write(line[:20])
        os._exit(0)
    elif HARM in ("hang", "hang-with-a-child"):
        if HARM == "hang-with-a-child":
            sleeper = subprocess.Popen(["sleep", "600"])
            print(sleeper.pid, file=LOG)
        time.sleep(600)
    elif HARM == "close-stdout":
        os.close(1)
        time.sleep(600)
    elif HARM == "flood-stdout":
        while True:
            write("0" * 2**16)
    elif HARM == "flood-stderr":
        for _ in range(200):
            print("x" * 2**16, file=sys.stderr)
    return instead(right, line)


def instead(right, line):  # noqa: PLR0912
    y = right["outputs"]["y"]
    if HARM == "unsupported":
        return json.dumps({"id": right["id"], "unsupported": "not today"})
    elif HARM == "error":
        return json.dumps({"id": right["id"], "error": "no\nthank you"})
    elif HARM == "two-kinds":
        return json.dumps({**right, "error": "no"})
    elif HARM == "neither":
        return json.dumps({"id": right["id"]})
    elif HARM == "two-lines":
        return line + "\n" + line
    elif HARM == "wrong-id":
        right["id"] += 1
    elif HARM == "unknown-output":
        right["outputs"]["z"] = y
    elif HARM == "missing-output":
        right["outputs"] = {"mean": y}
    elif HARM == "wrong-count":
        y["values"].append(1.0)
    elif HARM == "negative-size":
        y["shape"] = [-1, 3]
    elif HARM == "impossible-shape":
        y.update(shape=[0, 10**30], values=[])
    elif HARM == "unknown-dtype":
        y["dtype"] = "object"
    elif HARM == "no-number":
        y["values"][0] = "one"
    elif HARM == "true":
        y["values"][0] = True
    elif HARM == "too-large-a-number":
        return line.replace('"values": [', '"values": [1e999, ', 1)
    elif HARM == "too-large-an-integer":
        y["values"][0] = 10**400
    elif HARM == "bare-nan":
        y["values"][0] = math.nan
    elif HARM == "base64-of-the-wrong-length":
        right["outputs"]["y"] = {"shape": y["shape"], "base64": "AAAAAAA="}
    elif HARM == "twice":
        return line[:-1] + f', "id": {right["id"]}}}'
    elif HARM != "flood-stderr":
        return {
            "garbage": "y = 1, 2, 3",
            "a-list": "[1]",
            "a-number": "3",
            "empty-line": "",
            "not-utf-8": b'{"id": "\xff"}',
            "utf-16": line.encode("utf-16"),
            "deep": "[" * 100_000,
            "long-integer": '{"id": ' + "9" * 5000 + "}",
        }[HARM]
    return json.dumps(right)


if LOG:
    print(os.getpid(), file=LOG)
requests = 0
for text in sys.stdin:
    if LOG:
        LOG.write(text)
    message = json.loads(text)
    if "batchnorm-conformance" in message:
        write(json.dumps(GREETING) + "\n")
        continue
    requests += 1
    right = answer(message)
    line = (
        harm(right) if requests == 3 and HARM not in ("none", "reads-base64") else json.dumps(right)
    )
    write(line if isinstance(line, bytes) else line + "\n")
    if isinstance(line, bytes):
        write("\n")
