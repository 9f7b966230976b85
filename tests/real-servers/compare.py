"""What clients and servers know of a capture, held against what mailcap tells of it."""

import base64
import collections
import json
import os
import re
import subprocess

from record import digest
from servers import USERS


def run(mailcap, *arguments):
    done = subprocess.run([mailcap, *arguments], capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace").strip()


def brief(values):
    return ", ".join(str(v) for v in values) or "nothing"


def first_difference(name, want, got):
    if want == got:
        return []
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    return [f"{name} differ at {at}: {brief(got[at:at + 4])} for {brief(want[at:at + 4])} ({len(got)} for {len(want)})"]


def counted(name, want, got):
    want, got = collections.Counter(want), collections.Counter(got)
    odd = (("missing", want - got), ("too many", got - want))
    return [f"{name} {how}: {brief(f'{n} × {k}' for k, n in some.items())}" for how, some in odd if some]


class Story:
    """One session as mailcap tells it."""

    def __init__(self, events):
        self.session = next(e for e in events if e["type"] == "session")
        events = sorted((e for e in events if e["type"] != "session"), key=lambda e: e["seq"])
        of = lambda kind: [e for e in events if e["type"] == kind]  # noqa: E731
        # What answers a challenge has no verb.
        self.commands = [c["verb"] for c in of("command") if not c["injected"] and c["verb"]]
        self.auth = [(a["mechanism"], a["user"], a["outcome"]) for a in of("auth")]
        self.messages = of("message")
        self.replies = of("reply")
        self.by_seq = {c["seq"]: c for c in of("command")}
        self.port = self.session["client"]["port"]
        self.server_port = self.session["server"]["port"]

    def statuses(self):
        """As a client keeps them: see `Session.replies`."""
        if self.session["protocol"] == "imap":
            return [f"{r['tag']} {r['status']}" for r in self.replies if r["tag"]]
        return [r["status"] for r in self.replies]

    def wrong_answers(self):
        """Tagged replies that are said to answer a command of another tag."""
        tagged = [r for r in self.replies if r["tag"]]
        return [r["tag"] for r in tagged if self.by_seq.get(r["command"], {}).get("tag") != r["tag"]]

    def whole(self):
        return [m for m in self.messages if m["part"] == "full" and m["complete"]]


def stories(output):
    sessions = collections.defaultdict(list)
    for line in output.splitlines():
        event = json.loads(line)
        key = event["id"] if event["type"] == "session" else event.get("session")
        if key is not None:
            sessions[key].append(event)
    return [Story(events) for _, events in sorted(sessions.items())]


def session_problems(known, story, tls):
    told = story.session
    problems = first_difference("commands", known.verbs, story.commands)
    problems += first_difference("authentications", known.auth, story.auth)
    want = [(digest(c)[:16], len(c), outcome) for c, outcome in known.messages]
    got = [(m["sha256"][:16], m["size"], m["outcome"]) for m in story.whole()]
    problems += counted("messages", want, got)
    if known.replies is not None and known.protocol != "sieve":
        problems += first_difference("replies", known.replies, story.statuses())
    problems += [f"a reply tagged {tag} answers another command" for tag in story.wrong_answers()]
    if known.envelopes is not None:
        got = [[(r["address"], r["accepted"]) for r in m["rcpt_to"]] for m in story.whole()]
        problems += first_difference("recipients", known.envelopes, got)
    for field, want in (
        ("protocol", known.protocol), ("security", known.security), ("complete", True),
        ("gaps", {"count": 0, "bytes": 0}), ("undecrypted_bytes", 0), ("messages", len(story.whole()) + sum(
            1 for m in story.messages if m["part"] == "full" and not m["complete"])),
    ):  # fmt: skip
        if told[field] != want:
            problems.append(f"{field} is {told[field]}, not {want}")
    want = {"rsa": ("TLSv1.2", "rsa-key", "all"), "tls13": ("TLSv1.3", "keylog", "all")}[tls]
    want = [] if known.security == "none" else [want]
    got = [(t["version"], t["secret"], t["decrypted"]) for t in told["tls"]]
    if got != want:
        problems.append(f"TLS is {got}, not {want}")
    if told["commands"] != len(story.commands):
        problems.append(f"{told['commands']} commands, of which {len(story.commands)} are told")
    return problems


POSTFIX_NAMES = frozenset("EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY ETRN QUIT".split())


def postfix_problems(log, by_port):
    """Postfix counts the commands of each session, and names each message's queue id and Message-ID."""
    problems, checked = [], 0
    for port, counts in re.findall(r"disconnect from \S+\[127\.0\.0\.1\]:(\d+) (.*)", log):
        want = {}
        for name, number in re.findall(r"(\w+)=([\d/]+)", counts):
            want[name.upper()] = int(number.split("/")[-1])
        total = want.pop("COMMANDS", 0)
        unknown = want.pop("UNKNOWN", 0)
        story = by_port.get((int(port), "smtp"))
        if not story:
            problems.append(f"Postfix logged a session from port {port} that mailcap does not tell")
            continue
        got = collections.Counter(story.commands)
        others = sum(n for verb, n in got.items() if verb not in POSTFIX_NAMES)
        known = {verb: n for verb, n in got.items() if verb in POSTFIX_NAMES}
        if known != want or others != unknown or sum(got.values()) != total:
            problems.append(f"port {port}: commands {dict(got)}, Postfix counted {counts}")
        checked += 1
    idents = dict(re.findall(r"cleanup\[\d+\]: (\w+): message-id=<([^>]*)>", log))
    for story in by_port.values():
        for m in story.whole():
            # An empty message has no Message-ID but the one that Postfix gives it.
            if m["queue_id"] and m["protocol"] == "smtp" and m["size"]:
                checked += 1
                ident = (m["message_id"] or "").strip("<>")
                if idents.get(m["queue_id"]) != ident:
                    problems.append(f"queue id {m['queue_id']}: Message-ID {ident}, in Postfix's log "
                                    f"{idents.get(m['queue_id'])}")  # fmt: skip
    return checked, problems


def dovecot_problems(log, by_port):
    """Dovecot logs who logged in, how, and from which port."""
    problems, checked = [], 0
    for protocol, user, method, port in re.findall(
        r"(imap|pop3|managesieve)-login: Info: Login: user=<(\w*)>,? method=([\w-]+),? rport=(\d+)", log
    ):
        story = by_port.get((int(port), "sieve" if protocol == "managesieve" else protocol))
        names = {"PLAIN": {"PLAIN", "USER", "LOGIN-COMMAND"}}.get(method, {method})
        users = (user, None) if method in UNNAMED else (user,)
        checked += 1
        if not story or not any(a[0] in names and a[1] in users and a[2] == "success" for a in story.auth):
            problems.append(f"Dovecot logged {protocol} {user} {method} from port {port}; "
                            f"mailcap tells {story and story.auth}")  # fmt: skip
    if not checked:
        problems.append("no login found in Dovecot's log")
    return checked, problems


def lmtp_problems(lab, hops, extracted, stored):
    """Postfix's own deliveries: what went over LMTP is what Dovecot stored, behind the headers that it put before."""
    problems, checked = [], 0
    for story in hops:
        told = story.session
        if not told["complete"] or told["gaps"]["count"] or told["protocol"] != "lmtp":
            problems.append(f"hop from port {story.port}: {told['protocol']}, complete {told['complete']}")
        for m in story.whole():
            checked += 1
            content = extracted.get(m["sha256"])
            for recipient in m["rcpt_to"]:
                user = recipient["address"].strip("<>").split("@")[0]
                ends = (content or b"?", (content or b"?") + b"\r\n")
                if content is None or not any(s.endswith(ends) for s in stored[user]):
                    problems.append(f"LMTP {m['message_id']} for {user} is in no mailbox")
    if not checked:
        problems.append("no delivery over LMTP was told")
    return checked, problems


def stored_problems(sessions, lab, stored):
    """What clients sent by SMTP and LMTP lies in a mailbox, behind the headers of delivery."""
    everything = [s for contents in stored.values() for s in contents]
    problems, checked = [], 0
    for known in sessions:
        if known.protocol not in ("smtp", "lmtp"):
            continue
        for content, outcome in known.messages:
            if outcome == "accepted" and content:
                checked += 1
                # Postfix makes line ends of bare line feeds.
                content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                if not any(s.endswith((content, content + b"\r\n")) for s in everything):
                    problems.append(f"{known.client}: a message of {len(content)} bytes is in no mailbox")
    return checked, problems


def extraction_problems(mailcap, lab, keys, sessions):
    out = lab.path("extracted")
    code, _, err = run(mailcap, "extract", lab.capture, *keys, "-o", out)
    problems = [] if code == 0 else [f"extract: exit code {code}: {err}"]
    files = {}
    with open(os.path.join(out, "manifest.jsonl"), encoding="utf-8") as f:
        for line in f:
            m = json.loads(line)
            if m["type"] != "message" or not m["path"]:
                continue
            with open(os.path.join(out, m["path"]), "rb") as content:
                data = content.read()
            if digest(data) != m["sha256"] or len(data) != m["size"]:
                problems.append(f"{m['path']} is not what its digest says")
            files[digest(data)] = data
    checked = 0
    for known in sessions:
        for content, _ in known.messages:
            checked += 1
            if content and files.get(digest(content)) != content:
                problems.append(f"{known.client}: a message of {len(content)} bytes was not extracted as it was")
    return checked, problems, files


# A password says nothing of them.
UNCHECKED = {"XOAUTH2", "OAUTHBEARER", "ANONYMOUS", "EXTERNAL", "GSSAPI"}
# The client need not say who it is.
UNNAMED = {"ANONYMOUS", "EXTERNAL", "GSSAPI"}


def verification_problems(mailcap, lab, keys, sessions):
    """`auth --check`: the right password made an answer that the server took, and none that it refused."""
    lab.write("passwords", "".join(f"{user}:{password}\n" for user, password in USERS.items()), 0o600)
    code, output, err = run(mailcap, "auth", "--json", "--check", lab.path("passwords"), lab.capture, *keys)
    problems = [] if code == 0 else [f"auth --check: exit code {code}: {err}"]
    events = [json.loads(line) for line in output.splitlines()]
    got = [(e["mechanism"], e["user"], e["outcome"], e["verified"]) for e in events if e["type"] == "auth"]
    verdict = {"success": True, "failure": False}
    known = [exchange for session in sessions for exchange in session.auth]
    want = [(*auth, None if auth[0] in UNCHECKED else verdict.get(auth[2])) for auth in known]
    return len(want), problems + counted("exchanges", want, got)


def masking_problems(mailcap, lab, keys):
    """No password, in no usual disguise, in what mailcap prints unless it is asked."""
    problems, checked = [], 0
    for arguments in (("decode",), ("decode", "--json"), ("auth",), ("sessions", "--json")):
        _, output, err = run(mailcap, *arguments, lab.capture, *keys)
        output += err.encode()
        for user, password in USERS.items():
            plain = password.encode()
            full = b"\0" + user.encode() + b"\0" + plain
            for secret in (plain, base64.b64encode(plain), base64.b64encode(full)):
                checked += 1
                if secret in output:
                    problems.append(f"{' '.join(arguments)} shows {user}'s password as {secret!r}")
        for secret in lab.secrets:
            checked += 1
            # Encoded, it may begin at any place of a group of three bytes.
            inner = [base64.b64encode(secret[at:])[4:-4] for at in range(3)]
            if any(shape in output for shape in [secret, *inner]):
                problems.append(f"{' '.join(arguments)} shows {secret!r}")
    _, output, _ = run(mailcap, "auth", "--json", "--show-secrets", lab.capture, *keys)
    if USERS["alice"].encode() not in output:
        problems.append("--show-secrets shows nothing: this check would find nothing")
    return checked, problems


def same_problems(told, code, output):
    """Told another way, the sessions are the same."""

    def shape(story):
        return story.port, story.commands, story.auth, [(m["sha256"], m["part"], m["complete"]) for m in story.messages]

    want, got = [shape(s) for s in told], [shape(s) for s in stories(output)]
    problems = [] if code == 0 else [f"exit code {code}"]
    return len(want), problems + first_difference("sessions", want, got)


def pipe_problems(mailcap, lab, keys, told):
    with open(lab.capture, "rb") as f:
        done = subprocess.run([mailcap, "decode", "--json", "-", *keys], stdin=f, capture_output=True, timeout=300)
    return same_problems(told, done.returncode, done.stdout)


def decrypted_problems(mailcap, lab, keys, told):
    """A capture with the secrets inside needs no key."""
    out = lab.path("decrypted.pcapng")
    code, _, err = run(mailcap, "decrypt", lab.capture, *keys, "-o", out)
    if code != 0:
        return 0, [f"decrypt: exit code {code}: {err}"]
    code, output, _ = run(mailcap, "decode", "--json", out)
    return same_problems(told, code, output)


def assign(sessions, told, lab):
    """Programs that can't be told their port: the sessions nobody else has, in order, by protocol and security."""
    taken = {s.port for s in sessions if s.port}
    for known in sessions:
        if known.port is None:
            for story in told:
                fits = story.session["protocol"] == known.protocol and story.session["security"] == known.security
                if fits and story.port not in taken:
                    known.port = story.port
                    taken.add(story.port)
                    break


def round_problems(mailcap, lab, sessions, stored):
    keys = ["--key", lab.key] if lab.tls == "rsa" else ["--keylog", lab.keylog]
    problems, rows = [], []
    code, output, err = run(mailcap, "decode", "--json", lab.capture, *keys)
    if code != 0:
        problems.append(f"decode: exit code {code}: {err}")
    told = stories(output)
    assign(sessions, told, lab)
    by_port = {(story.port, story.session["protocol"]): story for story in told}
    for known in sessions:
        story = by_port.get((known.port, known.protocol))
        found = session_problems(known, story, lab.tls) if story else ["mailcap does not tell this session"]
        rows.append((known.client, known.protocol, known.security, len(known.verbs), len(known.auth),
                     len(known.messages), found))  # fmt: skip
        problems += [f"{known.client} (port {known.port}): {p}" for p in found]
    ports = {(known.port, known.protocol) for known in sessions}
    hops = [s for key, s in by_port.items() if key not in ports]
    for story in hops:
        if story.server_port != lab.ports["lmtp"]:
            problems.append(f"session from port {story.port} to {story.server_port} that no client made")
    checked, found, extracted = extraction_problems(mailcap, lab, keys, sessions)
    tables = [("messages extracted", checked, found)]
    tables.append(("messages in the mailboxes", *stored_problems(sessions, lab, stored)))
    tables.append(("LMTP deliveries by Postfix", *lmtp_problems(lab, hops, extracted, stored)))
    tables.append(("sessions and queue ids in Postfix's log", *postfix_problems(lab.log("mail.log"), by_port)))
    tables.append(("logins in Dovecot's log", *dovecot_problems(lab.log("dovecot.log"), by_port)))
    tables.append(("answers verified with auth --check", *verification_problems(mailcap, lab, keys, sessions)))
    tables.append(("passwords masked", *masking_problems(mailcap, lab, keys)))
    tables.append(("sessions through a pipe", *pipe_problems(mailcap, lab, keys, told)))
    if run(mailcap, "decrypt", "--help")[0] == 0:
        tables.append(("sessions of the decrypted capture", *decrypted_problems(mailcap, lab, keys, told)))
    for name, _, found in tables:
        problems += [f"{name}: {p}" for p in found]
    return rows, tables, problems
