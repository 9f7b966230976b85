"""Two rounds, RSA key exchange and TLS 1.3: real clients, real servers, a capture, and mailcap held against it."""

import os
import sys
import tempfile
import time
import traceback

import compare
import imap
import letters
import pop3
import programs
import sasl
import smtp
import tickets
from servers import USERS, Lab, SetupError, wait_for


def delivered(lab, sessions):
    everything = [s for user in USERS for s in lab.stored(user)]
    sent = [c for s in sessions if s.protocol == "smtp" for c, outcome in s.messages if outcome == "accepted" and c]
    sent = [c.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for c in sent]
    return all(any(s.endswith((c, c + b"\r\n")) for s in everything) for c in sent)


def one_round(mailcap, tls, low):
    folder = tempfile.mkdtemp(prefix="mailcap-", dir="/tmp")
    lab = Lab(folder, tls, low)
    sessions = []
    seeds = {
        "gwen": [letters.COMMANDS],
        "ivan": [*letters.ALL, letters.LARGE],
        "paul": [*letters.ALL, letters.LARGE],
        "dave": [letters.COMMANDS, letters.EIGHT_BIT, letters.LARGE],
    }
    try:
        try:
            lab.token_key = tickets.TOKEN_KEY
            if not tickets.Kerberos.missing():
                lab.kerberos = tickets.Kerberos(lab)
            lab.start(seeds)
            programs.run(lab, sessions, seeds)
            with lab.own_client_ports():
                imap.run(lab, sessions, seeds["ivan"])
                pop3.run(lab, sessions, seeds["paul"])
                smtp.run(lab, sessions)
                sasl.run(lab, sessions)
            tickets.run(lab, sessions, seeds["gwen"][0])
            try:
                wait_for("the last delivery", lambda: delivered(lab, sessions))
            except SetupError as e:
                print(f"  {e}")
            time.sleep(1)
        finally:
            lab.stop()
        stored = {user: lab.stored(user) for user in USERS}
        rows, tables, problems = compare.round_problems(mailcap, lab, sessions, stored)
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {folder}")
        else:
            lab.remove()
    print(f"\n{tls}: {len(sessions)} sessions of clients")
    print(f"  {'client':34} {'proto':6} {'security':9} {'cmds':>4} {'auth':>4} {'msgs':>4}")
    for client, protocol, security, commands, auth, messages, found in rows:
        verdict = "ok" if not found else "DIFFERS"
        print(f"  {client:34} {protocol:6} {security:9} {commands:4} {auth:4} {messages:4}  {verdict}")
    agreed = sum(1 for row in rows if not row[-1])
    print(f"  {agreed} of {len(rows)} sessions agree")
    for name, checked, found in tables:
        print(f"  {name}: {checked} checked, {len(found)} differences")
    for problem in problems:
        print(f"  ! {problem}")
    return len(problems)


def main():
    mailcap = sys.argv[1]
    try:
        problems = sum(one_round(mailcap, tls, low) for tls, low in (("rsa", 20_000), ("tls13", 22_000)))
    except (SetupError, programs.ProgramFailed, AssertionError, OSError, EOFError) as e:
        # A server or a client did something else than this script expects: nothing is said about mailcap.
        traceback.print_exc()
        print(f"set-up failed: {e}", file=sys.stderr)
        return 2
    print(f"\n{problems} differences" if problems else "\nall agrees")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
