"""What a client knows of its own session, and a client that says exactly what it is told to."""

import hashlib
import socket
import ssl

from servers import HOST


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Session:
    """One connection as its client knows it."""

    def __init__(self, client, protocol, port, security="none"):
        self.client = client
        self.protocol = protocol
        self.port = port
        self.security = security
        self.verbs = []
        self.auth = []  # (mechanism, user, outcome)
        self.messages = []  # (content, outcome): whole ones, in either direction
        self.replies = None  # status of each, for IMAP tag and status of each tagged one, where the client keeps them
        self.envelopes = None  # [[(address, accepted)]], one a transaction with a message, where the client keeps it

    def message(self, content, outcome="accepted"):
        self.messages.append((content, outcome))


def context(lab, certificate=False):
    """A client's TLS: what the round's servers take, with a key log; with a certificate of its own, or not."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    if lab.tls == "rsa":
        tls.set_ciphers("AES256-SHA256:AES128-GCM-SHA256")
    else:
        tls.keylog_filename = lab.keylog
    if certificate:
        tls.load_cert_chain(lab.path("client.crt"), lab.path("client.key"))
    return tls


class Dialogue:
    """A socket that counts what it is told to say as commands."""

    def __init__(self, lab, sessions, client, protocol, service=None, implicit=False):
        self.lab = lab
        self.socket = socket.create_connection((HOST, lab.ports[service or protocol]), timeout=30)
        self.session = Session(client, protocol, self.socket.getsockname()[1], "implicit" if implicit else "none")
        self.session.replies = []
        sessions.append(self.session)
        if implicit:
            self.socket = context(lab).wrap_socket(self.socket)
        self.buffer = b""

    def send(self, data, *verbs):
        """Sends `data`, which holds the commands `verbs`."""
        self.session.verbs += verbs
        self.socket.sendall(data)

    def command(self, line):
        """Sends one command of SMTP or POP3 or ManageSieve."""
        self.send(line + b"\r\n", line.split(b" ")[0].decode().upper())

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def smtp(self, expected):
        """Reads one SMTP reply, which must have this code."""
        while True:
            line = self.line()
            if line[3:4] != b"-":
                break
        self.session.replies.append(line[:3].decode())
        if not line.startswith(expected):
            raise AssertionError(f"{self.session.client}: {line!r} where {expected!r} was expected")
        return line

    def imap(self, tag, expected=b"OK"):
        """Reads IMAP responses up to the tagged one; gives (line, literals) of each."""
        responses = []
        while True:
            line, literals = self.line(), []
            while line.endswith(b"}") and line.rpartition(b"{")[2][:-1].isdigit():
                literals.append(self.exactly(int(line.rpartition(b"{")[2][:-1])))
                line += self.line()
            responses.append((line, literals))
            if line.startswith(tag + b" "):
                self.session.replies.append(" ".join(line.decode(errors="replace").split(" ")[:2]))
                if not line.startswith(tag + b" " + expected):
                    raise AssertionError(f"{self.session.client}: {line!r} where {expected!r} was expected")
                return responses

    def ask(self, tag, command, expected=b"OK"):
        """An IMAP command and its responses; `command` may hold literals of the kind that needs no invitation."""
        words = command.split(b" ")
        verb = b" ".join(words[:2] if words[0].upper() == b"UID" else words[:1]).split(b"\r\n")[0]
        self.send(tag + b" " + command + b"\r\n", verb.decode().upper())
        return self.imap(tag, expected)

    def pop3(self, multiline=False, expected=b"+OK"):
        line = self.line()
        self.session.replies.append(line.decode(errors="replace").split(" ")[0])
        if not line.startswith(expected):
            raise AssertionError(f"{self.session.client}: {line!r} where {expected!r} was expected")
        content = []
        while multiline:
            one = self.line()
            if one == b".":
                break
            content.append(one[1:] if one.startswith(b".") else one)
        return b"".join(c + b"\r\n" for c in content) if multiline else line

    def start_tls(self, certificate=False):
        if self.buffer:
            raise AssertionError("bytes behind the server's go-ahead")
        self.socket = context(self.lab, certificate).wrap_socket(self.socket)
        self.session.security = "starttls"

    def close(self):
        """Reads up to the server's end, then closes."""
        try:
            while self.socket.recv(65536):
                pass
        except OSError:
            pass
        self.socket.close()

    def close_now(self):
        self.socket.close()
