"""The peer's side of the pipe: answers each call of a line with a line.

Run by the Python of the peer's environment: python -m benchmarks.replay.peer_process.serve MODULE. The module has
`build(setting)`, which returns a `Peer`. The first line is the setting, each further one a call: `{"call": "suggest",
"trial": 3}`. An error ends the process, with its traceback on the standard error stream.
"""

import importlib
import json
import os
import sys

from benchmarks.replay.peer_process.interface import Peer, PeerSetting


def main() -> None:
    # Libraries print: the pipe is kept for answers, and what is printed goes to the standard error stream.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    peer: Peer = importlib.import_module(sys.argv[1]).build(PeerSetting(**json.loads(sys.stdin.readline())))
    for line in sys.stdin:
        call = json.loads(line)
        answer = getattr(peer, call.pop("call"))(**call)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
