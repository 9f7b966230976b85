#!/usr/bin/env python3
"""Mail commands by frame, as tshark and as mailcap find them, and why they differ.

tests/tshark.py MAILCAP FOLDER…  (folders as in testdata/servers and testdata/tls)

Prints the captures in which they differ, the differences with no known reason, and the sums.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

FIELDS = ["smtp.req.command", "imap.request.command", "pop.request.command"]
# What tshark looks at as one of its three protocols.
PORTS = {25, 465, 587, 143, 993, 110, 995}


def first(value):
    return value[0] if isinstance(value, list) and value else value


def captures(folder):
    """Each capture of a folder with its key and key log, those that are there."""
    for truth in sorted(folder.glob("*.json")):
        truth = json.loads(truth.read_text())
        if not isinstance(truth, dict) or "name" not in truth:
            continue
        files = [f for f in (folder / f"{truth['name']}.{ext}" for ext in ("pcap", "pcapng")) if f.exists()]
        key = first(truth.get("key_file"))
        logs = [truth.get("keylog"), truth.get("keylog_file"), truth["name"] + ".keylog"]
        log = next((folder / first(log) for log in logs if log and (folder / first(log)).exists()), None)
        for file in files:
            yield file, folder / key if key else None, log


def by_tshark(file, key, log):
    """(frame, verb) → how often."""
    command = ["tshark", "-n", "-r", file, "-T", "fields", "-e", "frame.number", "-Y", " || ".join(FIELDS)]
    command += [word for field in FIELDS for word in ("-e", field)]
    command += ["-o", f'uat:rsa_keys:"{key.resolve()}",""'] if key else []
    command += ["-o", f"tls.keylog_file:{log}"] if log else []
    found = Counter()
    for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
        frame, *verbs = line.split("\t")
        # UID comes beside the command that it belongs to, a literal's announcement as a command.
        verbs = [verb.strip().upper() for verb in ",".join(verbs).split(",")]
        found.update((int(frame), verb) for verb in verbs if verb and verb != "UID" and verb[0] != "{")
    return found


def by_mailcap(mailcap, file, key, log):
    """The events of a run."""
    command = [mailcap, "decode", "--json", file]
    command += ["--key", key] if key else []
    command += ["--keylog", log] if log else []
    return [json.loads(line) for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines()]


def compare(events, shark):
    """How many both find, and the differences: (frame, verb, reason) → how often."""
    sessions = {e["id"]: e for e in events if e["type"] == "session"}
    commands = [e for e in events if e["type"] == "command" and e["verb"]]
    answers = {e["frame"] for e in events if e["type"] == "command" and not e["verb"]}
    bodies = [(e["first_frame"], e["frame"]) for e in events if e["type"] == "message"]
    lost = {e["session"] for e in events if e["type"] == "gap"}
    compressed = {e["session"]: e["frame"] for e in commands if e["verb"].upper() == "COMPRESS"}
    ours, named = Counter(), {}
    for e in commands:
        verb = e["verb"].upper().removeprefix("UID ")
        # tshark has four letters of an SMTP command; its frame may be any of the command's.
        names = [verb, verb[:4]] if sessions[e["session"]]["protocol"] == "smtp" else [verb]
        places = [(frame, name) for frame in range(e["first_frame"], e["frame"] + 1) for name in names]
        place = next((p for p in places if shark[p] > ours[p]), (e["frame"], verb))
        ours[place] += 1
        named[place] = e
    opened = {named[place]["session"] for place in ours & shark if named[place]["tls"]}

    def more(place):
        e = named[place]
        session = sessions[e["session"]]
        if session["protocol"] in ("lmtp", "sieve"):
            return "a protocol that tshark does not dissect"
        if compressed.get(session["id"], place[0]) < place[0]:
            return "behind COMPRESS"
        if session["server"]["port"] not in PORTS:
            return "on another port than the usual ones"
        if e["tls"] and session["id"] not in opened:
            return "in TLS that tshark does not open"
        if session["id"] in lost:
            return "in a session with a loss"
        if sum(n for (frame, _), n in ours.items() if frame == place[0]) > 1:
            return "several commands in a segment"
        if any(begin <= place[0] for begin, _ in bodies):
            return "behind a message, which tshark follows further"
        return "?"

    def fewer(place):
        if any(begin <= place[0] <= end for begin, end in bodies):
            return "a line of a message, taken for a command"
        if place[0] in answers:
            return "the answer to a challenge, taken for a command"
        return "compressed bytes, taken for a command" if compressed else "?"

    differ = Counter({(*place, "mailcap alone: " + more(place)): n for place, n in (ours - shark).items()})
    differ.update({(*place, "tshark alone: " + fewer(place)): n for place, n in (shark - ours).items()})
    return (ours & shark).total(), differ


def main(mailcap, *folders):
    sums = Counter()
    for file, key, log in (capture for folder in folders for capture in captures(Path(folder))):
        both, differ = compare(by_mailcap(mailcap, file, key, log), by_tshark(file, key, log))
        sums.update({"captures": 1, "captures without a difference": not differ, "both": both})
        for (frame, verb, why), n in differ.items():
            sums[why] += n
            if why.endswith("?"):
                print(f"{file.name} frame {frame}: {verb!r}, {why}")
        if differ:
            print(f"{file.name}: {both} in both, {differ.total()} in one")
    for what, n in sorted(sums.items()):
        print(f"{n:6} {what}")


if __name__ == "__main__":
    main(*sys.argv[1:])
