"""Requests as no client writes them, generated from a seed, with what must come of each: which answers in
which order, and whose. Spoken over sockets of our own.

What is expected follows RFC 9110 and 9112 and a reader of keys that stands here once more. Where a request is
malformed, or two readers could take it differently, one refusal must follow, and nothing behind it is
answered.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.proof.raw_http import CRLF, Case, Door, Req, Stage, ok

# -- who one is ----------------------------------------------------------------------------------------------

NAMES = ("Authorization", "authorization", "AUTHORIZATION", "X-Api-Key", "x-api-key", "Api-Key", "api-key")
LIKE_NAMES = (
    "X_Api_Key", "x_api-key", "Api_Key", "Authorization_", "HTTP_AUTHORIZATION", "Http-Authorization",
    "Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Original-Authorization",
    "X-Api-Key-", "X-Api-Keys", "XApiKey", "X-Goog-Api-Key", "Authorization-2", "WWW-Authorization",
)  # fmt: skip


def who_is_shown(stage: Stage, headers: list[tuple[str, str]]) -> str:
    """The tenant whose key these headers show, or "" for none, or more than one."""
    shown = set()
    for name, value in headers:
        for text in value.split(","):
            text = text.strip(" \t")
            if name.lower() == "authorization":
                scheme, _blank, text = text.replace("\t", " ").partition(" ")
                if scheme.lower() == "bearer":
                    shown.add(text.strip())
            elif name.lower() in ("x-api-key", "api-key"):
                shown.add(text)
    shown = {key for key in shown if key} or shown
    key = shown.pop() if len(shown) == 1 else ""
    return next((who for who, good in stage.keys.items() if good == key), "")


def keys(stage: Stage) -> Iterator[Case]:
    dice, (one, two) = stage.dice, stage.keys.values()
    wrong = [
        one[:-1] + ("a" if one[-1] != "a" else "b"),
        f"{one}x",
        one.upper(),
        "",
        "null",
        "é" * 9,
        f"{one} {two}",
    ]
    while True:
        headers = []
        for _number in range(dice.choice((1, 1, 2, 2, 3, 4))):
            name = dice.choice(NAMES) if dice.random() < 0.65 else dice.choice(LIKE_NAMES)
            key = dice.choice((one, one, two, dice.choice(wrong)))
            forms = (
                "{}",
                "Bearer {}",
                "bearer {}",
                "BEARER  {}",
                "Bearer\t{}",
                "Basic {}",
                "Token {}",
                "{}, {}",
            )
            usual = "Bearer {}" if "auth" in name.lower() else "{}"
            form = usual if dice.random() < 0.7 else dice.choice(forms)
            headers.append((name, form.format(*([key] * form.count("{}")))))
        who = who_is_shown(stage, headers)
        door = stage.door(who)
        want = ok(who) if who else ok("", 401)
        request = door.req.with_(*headers)
        shown = [(name, value.replace(one, "ONE").replace(two, "TWO")) for name, value in headers]
        yield Case("keys", f"{door.name} {shown}", request.written(), (want,), caller=who)


# -- which host ----------------------------------------------------------------------------------------------

BAD_IN_HOSTS = " \t/@?#\\,;\"'<>{}|^`%!$&()*+=~\x7f\xe9"


def hosts(stage: Stage) -> Iterator[Case]:
    dice = stage.dice
    own, other = stage.host, f"{stage.two}.localhost"
    good = [own, own.upper(), f"{own}:8000", f"{own}.", f"{own}:", f" {own} ", f"{own}:65535"]
    unknown = [
        "nobody.example",
        "192.0.2.7",
        "[::1]",
        "[::1]:8000",
        "my_container",
        "xn--bcher-kva.example",
        "a" * 200,
    ]
    bad = [
        "",
        f"{own}:65536",
        f"{own}:port",
        f"{own}:80:80",
        "[::1",
        "::1",
        f"user@{own}",
        f"{own}/healthz",
        f"{own}/healthz/live?",
        "a" * 254,
    ]
    doors = stage.doors()[:2]
    while True:
        door = dice.choice([*doors, stage.page, stage.log_in, stage.health])
        bare = door.req.without("host")
        if door.is_for_keys:
            bare = bare.with_(stage.key())
        who = stage.one if door.is_for_keys or door.name == "page" else ""
        match dice.randrange(6):
            case 0:
                host, want = dice.choice(good), ok(who)
                if host == f"{own}:" and not door.is_for_keys and door.name != "health":
                    want = ok("", 404)  # Django takes no port that is empty
            case 1:
                host = dice.choice(unknown)
                want = ok(who) if door.is_for_keys or door.name == "health" else ok("", 404)
            case 2:
                host = other
                want = ok("", 401) if door.is_for_keys else ok("", 200, 302)
            case 3:
                place = dice.randrange(1, len(own) - 1)
                host = dice.choice([*bad, own[:place] + dice.choice(BAD_IN_HOSTS) + own[place:]])
                yield Case(
                    "hosts", f"{door.name} at {host!r}", bare.with_(("Host", host)).written(), ends="refused"
                )
                continue
            case 4:
                two = dice.choice([(own, other), (own, own), (other, own), (own, "")])
                headers = bare.with_(*(("Host", one) for one in two))
                yield Case("hosts", f"{door.name} at both of {two}", headers.written(), ends="refused")
                continue
            case _:
                named = dice.choice([own, other, f"{own}@{other}", "evil.example", f"{own}:1"])
                line = f"{door.req.method} http://{named}{door.req.target} HTTP/1.1"
                is_same = named in (own, f"{own}:1")
                sent = bare.with_(("Host", own)).written(line)
                name = f"{door.name} of http://{named} at {own}"
                if named == f"{own}@{other}" or not is_same:
                    yield Case("hosts", name, sent, ends="refused")
                else:
                    yield Case("hosts", name, sent, (ok(who),))
                continue
        yield Case(
            "hosts", f"{door.name} at {host!r}", bare.with_(("Host", host)).written(), (want,), caller=who
        )


# -- where a body ends ---------------------------------------------------------------------------------------


def chunked(
    body: bytes, *, size: str = "%x", after: str = "\r\n", last: str = "0\r\n\r\n", ext: str = ""
) -> bytes:
    line = (size % len(body)) if "%" in size else size
    return f"{line}{ext}{after}".encode("latin-1") + body + CRLF + last.encode("latin-1")


def lengths(stage: Stage) -> Iterator[Case]:
    dice = stage.dice
    while True:
        door = dice.choice(stage.doors()[2:])
        request = door.req.with_(stage.key())
        body, hidden, n = request.body, stage.hidden(), len(request.body)
        empty = replace(request, body=b"")
        fields = {
            f"two lengths {n} and 0": [("Content-Length", str(n)), ("Content-Length", "0")],
            "a list of lengths": [("Content-Length", f"{n}, {n + 1}")],
            "a length with a plus": [("Content-Length", f"+{n}")],
            "a length below nothing": [("Content-Length", f"-{n}")],
            "a hexadecimal length": [("Content-Length", f"0x{n:x}")],
            "a length with a fraction": [("Content-Length", f"{n}.0")],
            "no length at all": [("Content-Length", "")],
            "a length in words": [("Content-Length", "ten")],
            "a length with a blank": [("Content-Length", f"{n} 0")],
            "a length of 30 digits": [("Content-Length", "9" * 30)],
            "a length in other digits": [("Content-Length", "\xb2\xb3")],
            "a blank before the colon": [("Content-Length ", str(n))],
            "chunks beside a length": [("Transfer-Encoding", "chunked"), ("Content-Length", str(n))],
            "a length beside chunks": [("Content-Length", str(n)), ("Transfer-Encoding", "chunked")],
            "chunks in capitals beside a length": [("TRANSFER-ENCODING", "CHUNKED"), ("Content-Length", "4")],
            "chunks, and something else": [("Transfer-Encoding", "chunked, identity")],
            "chunks with a vertical tab": [("Transfer-Encoding", "\x0bchunked")],
            "almost chunks beside a length": [("Transfer-Encoding", "xchunked"), ("Content-Length", str(n))],
            "a folded coding": [("Transfer-Encoding", "\r\n chunked"), ("Content-Length", str(n))],
            "a coding with a blank before the colon": [
                ("Transfer-Encoding ", "chunked"),
                ("Content-Length", str(n)),
            ],
            "quoted chunks": [("Transfer-Encoding", '"chunked"'), ("Content-Length", str(n))],
            "a NUL in a header": [("X-A", "a\0b"), ("Content-Length", str(n))],
            "a line feed alone": [("X-A", "a\nTransfer-Encoding: chunked"), ("Content-Length", str(n))],
            "a carriage return alone": [("X-A", "a\rTransfer-Encoding: chunked"), ("Content-Length", str(n))],
        }
        name = dice.choice(list(fields))
        framed = dice.choice((body, chunked(body))) if "chunk" in name or "coding" in name else body
        sent = empty.with_(*fields[name]).written(last=False) + framed + hidden
        yield Case("lengths", f"{door.name}: {name}", sent, ends="refused", pieces=dice.choice((1, 1, 3)))
        yield from chunks(stage, door, empty, body, hidden)


def chunks(stage: Stage, door: Door, empty: Req, body: bytes, hidden: bytes) -> Iterator[Case]:
    dice, n = stage.dice, len(body)
    te = empty.with_(("Transfer-Encoding", "chunked"))
    bad = {
        "a size that is none": chunked(body, size="zz"),
        "a size below nothing": chunked(body, size="-1"),
        "a size with 0x": chunked(body, size="0x%x"),
        "a size with a blank before it": chunked(body, size=" %x"),
        "a size of 20 digits": chunked(body, size="f" * 20),
        "a size that wraps": chunked(body, size="10000000000000000"),
        "a line feed after the size": chunked(body, after="\n"),
        "a size that is too small": chunked(body, size=f"{n - 1:x}"),
        "no line end after the data": f"{n:x}\r\n".encode() + body + b"0\r\n\r\n",
    }
    good = {
        "an extension": chunked(body, ext=';a="b"'),
        "a size with zeros": chunked(body, size="0000%x"),
        "a size in capitals": chunked(body, size="%X"),
        "pieces": b"".join(b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(n)) + b"0\r\n\r\n",
        "a trailer": chunked(body, last="0\r\nX-Trailer: 1\r\n\r\n"),
        "a key of somebody else's in the trailer": chunked(
            body, last=f"0\r\n{': '.join(stage.key(stage.two))}\r\n\r\n"
        ),
    }
    name = dice.choice(list(bad))
    sent = te.written(last=False) + bad[name] + hidden
    yield Case("lengths", f"{door.name}: {name}", sent, ends="refused", pieces=dice.choice((1, 2, 5)))
    name = dice.choice(list(good))
    one = stage.one
    sent = te.written() + good[name]
    yield Case("lengths", f"{door.name}: {name}", sent, (ok(one),), pieces=dice.choice((1, 2, 5)), caller=one)
    nobody = te.without("authorization", "x-api-key", "api-key")
    trailer = chunked(body, last=f"0\r\n{': '.join(stage.key())}\r\n\r\n")
    yield Case(
        "lengths", f"{door.name}: a key in the trailer alone", nobody.written() + trailer, (ok("", 401),)
    )
    other = (
        "Content_Length" if dice.random() < 0.5 else "Transfer_Encoding",
        dice.choice((str(n), "chunked")),
    )
    sent = empty.with_(other, ("Content-Length", str(n))).written(last=False) + body + hidden
    wants = (ok(one), ok(stage.two))
    yield Case("lengths", f"{door.name}: {other[0]} says nothing", sent, wants, caller=one)
    sent = empty.written(last=False) + hidden
    yield Case("lengths", f"{door.name}: no length", sent, (ok("", 400), ok(stage.two)))


# -- several at once -----------------------------------------------------------------------------------------


def pipelines(stage: Stage) -> Iterator[Case]:
    dice = stage.dice
    while True:
        sent, wants, names, ends = [], [], [], "closed"
        count = dice.randint(2, 7)
        for number in range(count):
            who = dice.choice((stage.one, stage.two, ""))
            door = dice.choice([*stage.doors(who), stage.health, stage.page])
            request = door.req.with_(stage.key(who)) if who and door.is_for_keys else door.req
            if not door.is_for_keys:
                who = stage.one if door.name == "page" else ""
            names.append(f"{door.name} of {who or 'nobody'}")
            if number and dice.random() < 0.1:
                sent.append(request.with_(("Host", "again")).written(last=False))
                ends = "cut"
                names.append("(two hosts)")
                break
            wants.append(ok(who, 401 if door.is_for_keys and not who else 200))
            is_last = number == count - 1 or dice.random() < 0.06
            sent.append(request.written(last=is_last))
            if is_last:
                if number < count - 1:  # nobody reads what comes behind a last one
                    sent.append(stage.hidden())
                break
        yield Case(
            "pipelines", "; ".join(names), b"".join(sent), tuple(wants), ends, pieces=dice.choice((1, 1, 4))
        )


# -- lines and heads -----------------------------------------------------------------------------------------

LINES = (
    "GET", "GET /v1/models", "GET  HTTP/1.1", "GET /v1/models HTTP/2.0", "GET /v1/models HTTP/0.9",
    "GET /v1/models HTTP/1.2", "GET /v1/models HTTP/1.10", "GET /v1/models HTTP/11",
    "GET /v1/models HTTPS/1.1", "GET /v1/models http/1.1", "GET /v1/models HTTP/1.1 x",
    "GET\t/v1/models\tHTTP/1.1", "get /v1/models HTTP/1.1", "G\0T /v1/models HTTP/1.1", "PRI * HTTP/2.0",
    "CONNECT localhost:443 HTTP/1.1", "CONNECT / HTTP/1.1", "OPTIONS * HTTP/1.1", "GET * HTTP/1.1",
    "GET v1/models HTTP/1.1", "GET //v1/models HTTP/1.1", "GET /v1/models# HTTP/1.1",
    "GET /v1/models?\xff\xfe=\xe9 HTTP/1.1", "GET /profile/?q=\xff HTTP/1.1", "GET /\xff\xfe HTTP/1.1",
    "GET /%ff%fe%00 HTTP/1.1", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
    "GET /static/%2e%2e/%2e%2e/manage.py HTTP/1.1", "GET /static/..\\..\\manage.py HTTP/1.1",
    "GET /v1%2fmodels HTTP/1.1", "GET /V1/models HTTP/1.1", "GET /v1/./models HTTP/1.1",
    "GET /healthz/../v1/models HTTP/1.1", "GET /healthz/live/../../admin/ HTTP/1.1",
    "GET /admin;/ HTTP/1.1", "GET /v1/models;a=b HTTP/1.1", "GET http:///v1/models HTTP/1.1",
    "GET http://[/ HTTP/1.1", "GET http://localhost:x/ HTTP/1.1", "GET file:///etc/passwd HTTP/1.1",
    "GET /?%zz HTTP/1.1", "TRACE /v1/models HTTP/1.1", "PURGE /v1/models HTTP/1.1", "M-SEARCH * HTTP/1.1",
    "SOURCE /v1 HTTP/1.1", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "*1\r\n$4\r\nPING", "SSH-2.0-x",
    "", "\r\n\r\n\r\n",
)  # fmt: skip


def lines(stage: Stage) -> Iterator[Case]:
    dice = stage.dice
    while True:
        line = dice.choice(LINES)
        if dice.random() < 0.4:
            letters = list("GET /v1/models HTTP/1.1")
            for _number in range(dice.randint(1, 3)):
                place = dice.randrange(len(letters))
                letters[place : place + dice.randrange(2)] = [
                    chr(dice.choice((0, 9, 10, 13, 32, 127, 255, dice.randrange(256))))
                ]
            line = "".join(letters)
        request = Req(headers=(("Host", "localhost"), stage.key()))
        yield Case("lines", repr(line), request.written(line or " "), ends="any", caller=stage.one)


EXTRAS = (
    ("X-Forwarded-Host", "live-two.localhost"), ("Forwarded", "host=live-two.localhost;proto=https"),
    ("X-Forwarded-Proto", "https"), ("X_Forwarded_Proto", "https"),
    ("X-Forwarded-For", "127.0.0.1, 10.0.0.1"), ("X-Real-IP", "::1"), ("X-Original-URL", "/admin/"),
    ("X-Rewrite-URL", "/healthz/live"), ("X-HTTP-Method-Override", "DELETE"), ("X-Script-Name", "/x"),
    ("X-Forwarded-Prefix", "/x"), ("X-Forwarded-Port", "99999999"),
    ("Connection", "authorization, host, x-api-key"), ("Upgrade", "h2c"), ("Upgrade", "websocket"),
    ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"), ("TE", "trailers"), ("Expect", "100-continue"),
    ("Range", "bytes=0-0,-1"), ("If-None-Match", '*, "x"'), ("If-Modified-Since", "never"),
    ("Accept", "*/*;q=x, json"),
    ("Accept-Language", ",".join(f"x{n}-y;q=0.{n % 10}" for n in range(3_000))),
    ("Accept-Language", "-" * 9_000), ("Accept-Encoding", "gzip;q=1000"), ("Content-Type", ";" * 5_000),
    ("Content-Type", "text/html; charset=\xe9"), ("Content-Type", "application/json; charset=utf-7"),
    ("Cookie", "; ".join(f"c{n}={n}" for n in range(2_000))), ("Cookie", "=;;;=" * 1_000),
    ("X-Request-ID", "\xe9\xe9"), ("X-Request-ID", "a" * 5_000), ("traceparent", "00-zz-zz-zz"),
    ("Origin", "null"), ("Origin", "https://evil.example"), ("Referer", "\xff" * 100),
    ("User-Agent", "() { :; }"), ("Date", "\xe9"), ("Host_", "live-two.localhost"), ("Cookie_", "x"),
    ("CONTENT_LENGTH", "5"), ("Anthropic-Version", "\xe9"), ("Idempotency-Key", "\xe9" * 300),
    ("Last-Event-ID", "\xe9"), ("HX-Request", "true"),
    ("Content-Type", "a/b; x*0=a; x*=b"), ("Content-Type", "a/b; charset*=nowhere''x"),
    ("Accept", "a/b; x*0=a; x*=b, application/json"), ("Content-Type", "a/b; \xe9*1*=%ff"), ("Proxy", "http://evil.example"),
)  # fmt: skip


def heads(stage: Stage) -> Iterator[Case]:
    dice = stage.dice
    while True:
        door = dice.choice([*stage.doors(), stage.page, stage.log_in, stage.health])
        who = stage.one if door.is_for_keys or door.name == "page" else ""
        request = door.req.with_(stage.key()) if door.is_for_keys else door.req
        match dice.randrange(4):
            case 0:
                size = dice.choice((66_000, 90_000, 300_000))
                name, value = dice.choice((("x" * size, "y"), ("X", "y" * size)))
                sent = request.with_((name, value)).written()
                yield Case("heads", f"{door.name}: a header of {size}", sent, ends="refused")
            case 1:
                size = dice.choice((10, 1_000, 30_000, 60_000))
                sent = request.with_(("X", "y" * size)).written()
                yield Case("heads", f"{door.name}: a header of {size}", sent, (ok(who),), caller=who)
            case 2:
                count = dice.choice((100, 3_000))
                sent = request.with_(*(("A", str(n)) for n in range(count))).written()
                yield Case(
                    "heads",
                    f"{door.name}: {count} headers",
                    sent,
                    (ok(who),),
                    caller=who,
                    pieces=dice.choice((1, 7)),
                )
            case _:
                extras = dice.sample(EXTRAS, dice.choice((1, 1, 2, 3)))
                is_post = request.method == "POST"
                extras = [one for one in extras if not (one[0] == "Content-Type" and is_post)]
                extras = [one for one in extras if not (one[0] == "Cookie" and door.name == "page")]
                is_unread = any("*0=" in value or "*=now" in value for _name, value in extras)
                sent = request.with_(*extras).written()
                names = [(name, value[:30]) for name, value in extras]
                by_django = door.name in ("me", "page", "log-in", "health")
                want = ok("", 400) if is_unread and by_django else ok(who)
                yield Case("heads", f"{door.name}: {names}", sent, (want,), caller=who)


# -- bodies --------------------------------------------------------------------------------------------------


def part(head: str, data: bytes) -> bytes:
    return f"--B\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode("latin-1") + data + CRLF


def forms(dice: random.Random) -> dict[str, bytes]:
    base64 = 'name="login"\r\nContent-Transfer-Encoding: base64'
    blanks = b" \r\n\t" * dice.choice((10, 10_000, 60_000))
    return {
        "base64": part(base64, b"YWxpY2U="),
        "base64 that is none": part(base64, b"!!!!" * 50),
        "base64 without padding": part(base64, b"YWxpY2"),
        "base64 of blanks": part(base64, blanks),
        "base64 among blanks": part(base64, b"YW" + blanks + b"xpY2U="),
        "base64 of a file": part(
            'name="f"; filename="a.txt"\r\nContent-Transfer-Encoding: base64', blanks + b"YQ"
        ),
        "an unknown coding": part('name="f"\r\nContent-Transfer-Encoding: x-uuencode', b"x"),
        "no name": part("", b"x"),
        "a name that is none": part('name="\xff\0"', b"x"),
        "a file name with a path": part('name="f"; filename="../../etc/passwd\0.txt"', b"x"),
        "a file name in parts": part("name=f; filename*0=\"a\"; filename*=utf-8''%ff%fe", b"x"),
        "no end": part('name="login"', b"x")[:-2],
        "many parts": b"".join(part(f'name="n{n}"', b"x") for n in range(3_000)),
        "many files": b"".join(part(f'name="f{n}"; filename="n"', b"x") for n in range(200)),
        "a head without end": b"--B\r\n" + b"X: y\r\n" * 9_000,
        "nothing": b"",
    }


def bodies(stage: Stage) -> Iterator[Case]:
    dice = stage.dice
    kinds = (
        "multipart/form-data; boundary=B",
        "multipart/form-data",
        'multipart/form-data; boundary="B',
        "multipart/form-data; boundary=" + "B" * 500,
    )
    jsons = (
        b"", b"{", b"[" * 100_000, b'{"model": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"model": "\\ud800"}', b'{"model": NaN}', b"null",
        b'{"model": 1e400}', b'{"model": "a\\u0000b", "messages": []}',
        b'{"model": "x", "model": "y"}', b"9" * 50_000, b'"\xff\xfe"', b'{"messages": {"0": 1}, "model": []}',
    )  # fmt: skip
    while True:
        if dice.random() < 0.6:
            all_forms = forms(dice)
            name, kind = dice.choice(list(all_forms)), dice.choice((kinds[0], *kinds))
            body = all_forms[name] + dice.choice((b"--B--\r\n", b"--B--\r\n", b"--B\r\n", b""))
            door = dice.choice((stage.log_in, stage.page))
            request = replace(door.req, method="POST", body=body).with_(("Content-Type", kind))
            sent = request.written() if body else request.with_(("Content-Length", "0")).written()
            yield Case(
                "bodies",
                f"{door.name}: {name} as {kind[:40]}",
                sent,
                (ok(None, 400, 403, 413),),
                caller=stage.one,
            )
        else:
            door = dice.choice(
                [
                    *stage.doors()[2:],
                    Door("projects", Req("POST", "/api/v1/projects/", (("Host", "localhost"),))),
                ]
            )
            body, kind = (
                dice.choice((*jsons, forms(dice)["base64"])),
                dice.choice(("application/json", "text/plain", *kinds)),
            )
            request = replace(door.req.without("content-type"), body=body).with_(
                ("Content-Type", kind), stage.key()
            )
            yield Case(
                "bodies",
                f"{door.name}: {body[:30]!r} as {kind[:40]}",
                request.written(),
                (ok("", 400, 413, 415),),
            )


FAMILIES: dict[str, tuple[Callable[[Stage], Iterator[Case]], int]] = {
    "keys": (keys, 26), "hosts": (hosts, 16), "lengths": (lengths, 20), "pipelines": (pipelines, 10),
    "lines": (lines, 10), "heads": (heads, 10), "bodies": (bodies, 8),
}  # fmt: skip  # of a hundred


def make_cases(stage: Stage, count: int, only: str = "") -> list[Case]:
    cases = []
    for name, (generate, share) in FAMILIES.items():
        made = generate(stage)
        if only in ("", name):
            cases += [next(made) for _number in range(count if only else count * share // 100)]
    return cases
