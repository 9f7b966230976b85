"""Runs the queries of docs/batch.md over a dataset. Each answer is computed anew from `--json`; of captures that are made here
it is known beforehand. See batch-queries.sh."""

import base64
import collections
import datetime
import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

import duckdb
import polars as pl

MAILCAP, SOURCES, WORK = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3])


def mailcap(*arguments):
    run = subprocess.run([MAILCAP, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if run.returncode not in (0, 1, 3):
        # In an archive of broken captures 2 is right; without any output it is not.
        assert run.returncode == 2 and arguments[0] == "batch", (arguments, run.returncode, run.stderr[-2000:])
    return run


def documented():
    """The queries by name: {'sql': {name: text}, 'python': {name: text}}."""
    text = (SOURCES / "docs/batch.md").read_text()
    found = {"sql": {}, "python": {}}
    for language, body in re.findall(r"^```(sql|python)\n(.*?)^```$", text, re.M | re.S):
        first, rest = body.split("\n", 1)
        name = re.fullmatch(r"(?:--|#) ([a-z-]+)", first)
        assert name, f"a query without a name: {first}"
        found[language][name[1]] = rest
    return found


class Truth:
    """What the commands say of each input, one after the other."""

    def __init__(self, inputs, keys):
        self.rows = collections.defaultdict(list)
        for name, files in inputs.items():
            for command in ("sessions", "auth", "tls"):
                run = mailcap(command, *files, "--json", *keys)
                for line in run.stdout.splitlines():
                    self.add(name, json.loads(line))
            out = WORK / "extracted"
            run = mailcap("extract", *files, "-o", out, "--force", *keys)
            manifest = out / "manifest.jsonl"
            if manifest.exists():
                for line in manifest.read_text().splitlines():
                    self.add(name, json.loads(line))
                manifest.unlink()
        self.by_session = {(s["input"], s["id"]): s for s in self.rows["session"]}

    def add(self, name, row):
        row["input"] = name
        row["day"] = row["ts"][:10]
        self.rows[row["type"]].append(row)

    def failed_logins(self):
        groups = collections.defaultdict(list)
        for row in self.rows["auth"]:
            if row["outcome"] == "failure":
                groups[row["day"], row["user"]].append(row["input"])
        return {(day, user, len(inputs), len(set(inputs))) for (day, user), inputs in groups.items()}

    def old_tls(self):
        groups = collections.defaultdict(list)
        for row in self.rows["tls"]:
            session = self.by_session.get((row["input"], row["session"]))
            if row["version"] in ("TLSv1.0", "SSLv3") and row["completed"] and session:
                groups[session["server"]["ip"], session["server"]["port"], row["version"]].append(row["ts"])
        return {(*key, len(times), nanos(max(times))) for key, times in groups.items()}

    def legs(self):
        rows = [m for m in self.rows["message"] if m["part"] == "full" and m["message_id"] is not None]
        by_id = collections.Counter(m["message_id"] for m in rows)
        rows = [m for m in rows if by_id[m["message_id"]] > 1]
        same = collections.Counter(m["sha256"] for m in rows)
        answer = []
        for m in rows:
            session = self.by_session[m["input"], m["session"]]
            ends = session["client"]["ip"], session["server"]["ip"]
            rest = m["protocol"], m["direction"], m["outcome"], m["queue_id"], m["size"], m["sha256"], same[m["sha256"]]
            answer.append((m["message_id"], nanos(m["ts"]), *ends, *rest))
        return answer

    def large(self):
        return [
            (
                *(m[k] for k in ("day", "input", "session", "size", "mail_from", "subject")),
                tuple(r["address"] for r in m["rcpt_to"]),
            )
            for m in self.rows["message"]
            if m["part"] == "full" and m["size"] > 10_000_000
        ]

    def not_decrypted(self):
        sessions, lost = collections.defaultdict(set), collections.Counter()
        for row in self.rows["tls"]:
            of_mail = (row["input"], row["session"]) in self.by_session
            if of_mail and row["decrypted"] != "all" and row["reason"] not in (None, "handshake-failed"):
                sessions[row["reason"]].add((row["input"], row["session"]))
                lost[row["reason"]] += row["undecrypted_bytes"]
        return {(reason, len(s), lost[reason]) for reason, s in sessions.items()}


def nanos(text):
    """RFC 3339 with nanoseconds, as a number."""
    seconds, fraction = text.rstrip("Z").split(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00")
    return int(whole.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


def plain(value):
    """A cell as the truth has it."""
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        delta = value - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
        return (delta // datetime.timedelta(microseconds=1)) * 1000
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list):
        return tuple(plain(v) for v in value)
    return value


def counted(rows):
    """How often each row is there. Python's times have microseconds, and so have DuckDB's."""
    times = lambda v: v // 1000 * 1000 if isinstance(v, int) and v > 10**17 else v
    return collections.Counter(tuple(times(v) for v in row) for row in rows)


def by_duckdb(query):
    relation = duckdb.connect().execute("SET TimeZone = 'UTC'").execute(query)
    names = [column[0] for column in relation.description]
    rows = relation.fetchall()
    return names, [tuple(plain(v) for v in row) for row in rows]


def by_polars(query):
    frame = eval(query, {"pl": pl})
    rows = frame.rows()
    return frame.columns, [tuple(plain(v) for v in row) for row in rows]


# 2026-11-24 10:00 UTC.
START = 1795514400


def talk(path, turns, start=START, ends=("10.0.0.1", "10.0.0.2")):
    """A capture of one SMTP session: turns are (0 for the client or 1, bytes)."""
    addresses = [bytes(map(int, end.split("."))) for end in ends]
    seq, at, out = [1000, 9000], 0, [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)]

    def packet(side, flags, data=b""):
        nonlocal at
        ports = (40000, 25) if side == 0 else (25, 40000)
        ack = seq[1 - side] if flags & 0x10 else 0
        tcp = struct.pack(">HHIIBBHHH", *ports, seq[side], ack, 5 << 4, flags, 65535, 0, 0) + data
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses[side] + addresses[1 - side]
        at += 1000
        seconds, micros = divmod(at, 10**6)
        out.append(struct.pack("<IIII", start + seconds, micros, len(ip + tcp), len(ip + tcp)) + ip + tcp)
        seq[side] = (seq[side] + len(data) + (1 if flags & 3 else 0)) % 2**32

    greeting = [(1, b"220 mail.example.test ESMTP\r\n"), (0, b"EHLO client\r\n"), (1, b"250-mail\r\n250 AUTH PLAIN\r\n")]
    packet(0, 2), packet(1, 0x12), packet(0, 0x10)
    for side, data in [*greeting, *turns, (0, b"QUIT\r\n"), (1, b"221 Bye\r\n")]:
        for first in range(0, len(data), 1400):
            packet(side, 0x18, data[first : first + 1400])
    packet(0, 0x11), packet(1, 0x11), packet(0, 0x10)
    path.write_bytes(b"".join(out))


def login(user, reply):
    secret = base64.b64encode(f"\0{user}\0secret".encode())
    return [(0, b"AUTH PLAIN " + secret + b"\r\n"), (1, reply + b"\r\n")]


def mail(message, queue_id):
    return [
        (0, b"MAIL FROM:<a@example.test>\r\n"), (1, b"250 Ok\r\n"), (0, b"RCPT TO:<b@example.test>\r\n"), (1, b"250 Ok\r\n"),
        (0, b"DATA\r\n"), (1, b"354 go\r\n"), (0, message + b".\r\n"), (1, b"250 Ok: queued as " + queue_id + b"\r\n"),
    ]


def known(folder):
    """Captures whose answers are known without mailcap. Gives, by query, the columns that are known and their rows."""
    refused, accepted = b"535 5.7.8 no", b"235 2.7.0 yes"
    talk(folder / "night.pcap", [*login("mallory", refused), *login("mallory", refused), *login("known", accepted)])
    talk(folder / "day.pcap", login("mallory", refused), start=START + 86400)
    large = b"Subject: large\r\nMessage-ID: <large@example.test>\r\n\r\n" + (b"x" * 76 + b"\r\n") * 140_000
    talk(folder / "large.pcap", mail(large, b"X1"))
    message = b"Subject: legs\r\nMessage-ID: <legs@example.test>\r\n\r\nhello\r\n"
    relayed = b"Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n" + message
    legs = []
    for at, (name, text) in enumerate([("in", message), ("relay", relayed), ("copy", relayed)]):
        ends, queue_id = (f"10.0.1.{at}", f"10.0.2.{at}"), f"LEG{at}"
        talk(folder / f"{name}.pcap", mail(text, queue_id.encode()), start=START + at, ends=ends)
        same = 1 if text is message else 2
        legs.append(("legs@example.test", *ends, queue_id, len(text), hashlib.sha256(text).hexdigest(), same))
    return {
        "failed-logins": (["user", "day", "failures", "inputs"], [("mallory", "2026-11-24", 2, 1), ("mallory", "2026-11-25", 1, 1)]),
        "legs": (["message_id", "from_ip", "to_ip", "queue_id", "size", "sha256", "same_bytes"], legs),
        "large": (["subject", "day", "size", "recipients"], [("large", "2026-11-24", len(large), ("b@example.test",))]),
    }


def as_known(names, rows, columns, want):
    """Whether the rows that begin with a known one's first value are the known ones."""
    of = [tuple(row[names.index(column)] for column in columns) for row in rows]
    return sorted(row for row in of if row[0] in {row[0] for row in want}) == sorted(want)


def main():
    archive = WORK / "captures"
    archive.mkdir()
    facts = known(archive)
    sources = [archive, SOURCES / "testdata"]
    if corpus := os.environ.get("MAILCAP_CORPUS"):
        sources.append(pathlib.Path(corpus))
    # Not all of testdata/keys: some of these take seconds to open, and each input is read four times.
    keys = [word for folder in ("servers/keys", "tls/keys") for word in ("-k", SOURCES / "testdata" / folder)]
    os.chdir(WORK)
    run = mailcap("batch", *sources, "-o", "dataset", *keys)
    print(run.stdout, end="")
    # What the inputs are is batch's word; that they are the right ones is tested elsewhere.
    steps = map(json.loads, (WORK / "dataset/.mailcap-batch/done.jsonl").read_text().splitlines())
    records = [record for step in steps for group in step["groups"] for record in group["inputs"]]
    printed = re.search(r"^sessions not decrypted, in whole or in part: (.*)$", run.stdout, re.M)
    printed = {reason: int(count) for reason, count in (part.split() for part in printed[1].split(", "))}
    truth = Truth({record["key"]: record["files"] for record in records}, keys)
    queries = documented()
    assert queries["sql"].keys() == queries["python"].keys(), queries
    bad = 0
    for name in queries["sql"]:
        want = counted(getattr(truth, name.replace("-", "_"))())
        for tool, answer in (("DuckDB", by_duckdb(queries["sql"][name])), ("Polars", by_polars(queries["python"][name]))):
            names, rows = answer
            got = counted(rows)
            ok = got == want and want and (name not in facts or as_known(names, rows, *facts[name]))
            if name == "not-decrypted":
                ok = ok and {row[0]: row[1] for row in rows} == printed
            print(f"{name}, {tool}: {len(rows)} rows, {'as expected' if ok else 'NOT as expected'}")
            if not ok:
                bad += 1
                print("  columns:", ", ".join(names))
                for title, some in (("missing", want - got), ("extra", got - want)):
                    for row in sorted(some, key=repr)[:5]:
                        print(f"  {title}: {row}")
    sys.exit(1 if bad else 0)


main()
