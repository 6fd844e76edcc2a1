"""Somebody checks an entry in their own browser: by number, by files, by keyboard, and against all kinds of forgery."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, FilePayload, Route

from charter import create_app, log_key, shipped
from charter.certificate import Paper, certificate
from charter.domain.edition import digest, parse_edition
from charter.i18n import speaking
from charter.models.base import db
from charter.tlog import leaf, note, proof, tree
from charter.tlog.signer import Signer
from charter.tlog.tiles import WIDTH, parse_path
from tests.conftest import FRIDAY, make_settings
from tests.journeys.conftest import Visit
from tests.journeys.test_every_page import look
from tests.journeys.visitors import DESKTOP, PHONE, Visitor
from tests.operations.test_signing import confirmed, decide, get, withdraw
from tests.people import Desk, work
from tests.service import Service

pytestmark = pytest.mark.journey

PUBLISHED = {
    "kk": "Бұл жазба тізілімде жарияланған.",
    "ru": "Эта запись была опубликована в реестре.",
    "en": "This record was published in the registry.",
}
FAILED = "This does not check out."
NAME = "Әмина Оспанова"


@dataclass(frozen=True)
class World:
    """A running service with entries; one receipt is older than the newest ones."""

    service: Service
    signer: Signer
    entry: str
    record: bytes
    receipt: str

    @property
    def url(self) -> str:
        return self.service.url


@pytest.fixture(scope="module")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Six people were published in two batches; the second of them, number 2, has left."""
    instance = tmp_path_factory.mktemp("verify") / "instance"
    shutil.copytree(sqlite_template, instance)
    app = create_app(make_settings(instance))
    client = app.test_client()
    with time_machine.travel(FRIDAY, tick=True) as clock:
        desk = Desk(app, "Bruno", "bruno@example.org")
        people: list[int] = []
        kept: list[bytes] = []
        for batch in range(2):
            for place in range(3):
                people.append(confirmed(app, NAME, f"v{batch}-{place}@example.org"))
                decide(app, people[-1], desk.id)
            clock.shift(11)
            work(app)
            if not kept:
                entry = get(app, people[0]).entry
                kept = [client.get(f"/log/{name}/{entry}").data for name in ("record", "receipt")]
        withdraw(app, people[1])
        work(app)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    with Service(instance, environ={"CHARTER_MAIL_TRANSPORT": "files"}) as service:
        signer = log_key.signer(app.config["CHARTER"])
        yield World(service, signer, entry, kept[0], kept[1].decode())
        assert service.stop()[0] == 0, service.output


# ── what a visitor does ──────────────────────────────────────────────────────────────────────────────────────────────


def answered(visitor: Visitor) -> str:
    """Waits for the answer's heading, or for the sentence that stands in its place."""
    page = visitor.page
    page.locator("#answer:not([hidden]), #state.notice:not(:text('…'))").first.wait_for(state="visible")
    visitor.check()
    shown = page.locator("#answer:not([hidden]) h2")
    return shown.inner_text() if shown.count() else page.locator("#state").inner_text()


def give(visitor: Visitor, *, record: bytes | None, receipt: str | None) -> str:
    """Chooses files; returns the answer."""
    files: list[FilePayload] = []
    if record is not None:
        files.append({"name": "record.json", "mimeType": "application/json", "buffer": record})
    if receipt is not None:
        files.append({"name": "receipt.tlog-proof", "mimeType": "text/plain", "buffer": receipt.encode()})
    visitor.page.locator("#files").set_input_files(files)
    return answered(visitor)


def give_certificate(visitor: Visitor, content: bytes) -> str:
    """Chooses one file; returns the answer."""
    visitor.page.locator("#files").set_input_files(
        [{"name": "charter-certificate-kk.pdf", "mimeType": "application/pdf", "buffer": content}]
    )
    return answered(visitor)


def certificate_of(world: World) -> bytes:
    """As its holder downloads it."""
    app = create_app(make_settings(world.service.instance))
    with app.app_context(), speaking("en"):
        body = shipped.edition_texts("specimen-1")["en"]
        paper = Paper(
            record=world.record,
            proof_text=world.receipt,
            own_name=NAME,
            kind="Independent observer",
            region="Astana",
            edition=parse_edition(body),
            edition_digest=digest(body),
            vkey=world.signer.vkey,
            centre="Centre",
            public_url="https://charter.example",
        )
        return certificate(paper)


def checks(visitor: Visitor, tone: str) -> list[str]:
    """Titles of the checks that came out so."""
    return visitor.page.locator(f".checks .{tone} b").all_inner_texts()


@pytest.fixture
def visit(browser: Browser, world: World) -> Iterator[Visit]:
    """Opens a browser window on this service: nobody of the Centre is needed here."""
    opened: list[Visitor] = []

    def begin(**options: Any) -> Visitor:
        opened.append(Visitor(browser, world.url, **options))
        return opened[-1]

    yield begin
    for visitor in opened:
        visitor.close()


@pytest.fixture
def auditor(visit: Visit) -> Visitor:
    """On the page, in English, with script."""
    visitor = visit(lang="en", size=DESKTOP)
    visitor.open("/en/verify/")
    return visitor


# ── what holds ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_by_number_in_every_language_on_a_phone(world: World, visit: Visit, lang: str) -> None:
    visitor = visit(lang=lang, size=PHONE)
    visitor.open(f"/{lang}/verify/")
    visitor.page.locator("#number").fill("1")
    visitor.press("#by-number button")
    assert visitor.path == f"/{lang}/verify/?number=1"
    assert answered(visitor) == PUBLISHED[lang]
    assert len(checks(visitor, "ok")) == 5
    assert not checks(visitor, "bad")
    assert not checks(visitor, "open")
    answer = visitor.page.locator("#answer")
    assert NAME in answer.inner_text()
    assert "2026" in answer.locator(".lead").inner_text()
    assert "{" not in answer.inner_text(), "everything is filled in"
    assert visitor.page.locator("#state").text_content() == PUBLISHED[lang], "announced"
    answer.locator("summary").click()
    assert visitor.width() <= PHONE[0]
    root = answer.locator(".climb li").last.locator("code").inner_text()
    assert bytes.fromhex(root) == note.read(world.service.get("/log/checkpoint")[1])[0].root


def test_files_that_were_kept_are_checked_against_the_log_of_today(world: World, auditor: Visitor) -> None:
    then = proof.read(world.receipt)
    now = note.read(world.service.get("/log/checkpoint")[1])[0]
    assert note.read(then.checkpoint)[0].size < now.size
    assert give(auditor, record=world.record, receipt=world.receipt) == PUBLISHED["en"]
    assert f"It has grown to {now.size} lines" in auditor.main
    assert auditor.page.evaluate("document.activeElement.id") == "answer"


def test_a_certificate_brings_its_record_and_receipt_along(world: World, auditor: Visitor) -> None:
    content = certificate_of(world)
    assert give_certificate(auditor, content) == PUBLISHED["en"]
    assert NAME in auditor.page.locator("#answer").inner_text()
    assert not checks(auditor, "bad")
    # Typst deflates what becomes shorter by it.
    packed = [zlib.compress(one) for one in (world.record, world.receipt.encode())]
    heads = [b"<</Length %d/Type/EmbeddedFile/Filter/FlateDecode>>\nstream\n" % len(one) for one in packed]
    deflated = b"%PDF-1.7\n" + b"\nendstream\n".join(map(bytes.__add__, heads, packed))
    auditor.open("/en/verify/")
    assert give_certificate(auditor, deflated) == PUBLISHED["en"]
    # Of what is no certificate of ours, or was broken, nothing is believed.
    broken = deflated.replace(packed[0][20:60], bytes(40))
    for other in (broken, content[:2000], b"%PDF-1.7 <</Length 9/Type/EmbeddedFile>>stream\n"):
        auditor.open("/en/verify/")
        assert give_certificate(auditor, other) in {
            "Neither a receipt nor a record was given.",
            "A record alone proves nothing. Add its receipt, the file receipt.tlog-proof.",
            "The receipt cannot be read. It was cut off, or it is another file; what it should begin with is"
            " c2sp.org/tlog-proof@v1.",
        }
        assert not auditor.page.locator("#answer").is_visible()


def test_nothing_that_was_chosen_is_sent(world: World, auditor: Visitor) -> None:
    asked: list[tuple[str, str | None]] = []
    auditor.page.on("request", lambda request: asked.append((request.url, request.post_data)))
    give(auditor, record=world.record, receipt=world.receipt)
    assert asked
    assert all(re.fullmatch(rf"{world.url}/log/(checkpoint|tile/[x0-9/.p]+)", url) for url, _ in asked), asked
    assert not [data for _, data in asked if data]


def test_by_keyboard_and_pasted_text_alone(world: World, auditor: Visitor) -> None:
    page = auditor.page
    page.locator("#files").focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    for text in (world.record.decode() + "\n", world.receipt.replace("\n", "\r\n")):
        page.keyboard.press("Tab")
        page.keyboard.insert_text(text)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert answered(auditor) == PUBLISHED["en"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY", "on from the answer"


def test_dropping_files_is_the_same(world: World, auditor: Visitor) -> None:
    auditor.page.evaluate(
        """([record, receipt]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([receipt], "a.txt"));
          dataTransfer.items.add(new File([record], "b.txt"));
          document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true }));
        }""",
        [world.record.decode(), world.receipt],
    )
    assert answered(auditor) == PUBLISHED["en"]


def test_a_receipt_without_its_record_says_what_is_missing_and_takes_it_later(world: World, auditor: Visitor) -> None:
    assert give(auditor, record=None, receipt=world.receipt) == "The receipt is genuine. Its record is missing."
    assert checks(auditor, "open") == ["Record"]
    assert give(auditor, record=world.record, receipt=None) == PUBLISHED["en"]


def test_without_the_network_files_are_checked_all_the_same(world: World, auditor: Visitor) -> None:
    auditor.page.route("**/log/**", lambda route: route.abort())
    assert give(auditor, record=world.record, receipt=world.receipt) == PUBLISHED["en"]
    assert checks(auditor, "open") == ["The log today"]


def test_a_key_of_ones_own_and_witnesses(world: World, auditor: Visitor) -> None:
    checkpoint, _ = note.read(proof.read(world.receipt).checkpoint)
    ours = Ed25519PrivateKey.generate()
    witness = note.Key("witness.example/w1", note.COSIGNATURE, ours.public_key().public_bytes_raw())
    cosigned = note.cosign(checkpoint, witness, ours.sign, time=1_795_000_000)
    unknown = f"— elsewhere.example {b64(bytes(9))}\n"
    receipt = world.receipt + unknown + cosigned.line
    give(auditor, record=world.record, receipt=receipt)
    assert "witness.example/w1, 18 November 2026" in auditor.main.replace("\xa0", " ")
    assert "Not checked: put the key of this witness" in auditor.main
    auditor.page.locator("#keys").fill(f"{world.signer.vkey}\n{witness.text}")
    auditor.page.locator("#keys").blur()
    auditor.page.locator("text=Checked with the key that you gave.").wait_for()
    assert "that you gave." in auditor.page.locator(".checks .ok", has_text="Signature of the log").inner_text()
    forged = note.Signature(witness.name, witness.id, cosigned.value[:8] + bytes(64))
    assert give(auditor, record=world.record, receipt=world.receipt + forged.line) == FAILED
    assert "is not made with the key that you gave" in auditor.page.locator("#answer .lead").inner_text()


# ── what does not ────────────────────────────────────────────────────────────────────────────────────────────────────


def stranger() -> tuple[note.Key, Ed25519PrivateKey]:
    """The key of somebody else's log."""
    private = Ed25519PrivateKey.generate()
    return note.Key("charter.example/log", note.ED25519, private.public_key().public_bytes_raw()), private


def test_a_changed_record_fails_by_its_name(world: World, auditor: Visitor) -> None:
    for before, after in ((b'"rev":1', b'"rev":2'), (b'{"charter"', b'{ "charter"'), (b"KZ-75", b"KZ-71")):
        assert before in world.record
        assert give(auditor, record=world.record.replace(before, after), receipt=world.receipt) == FAILED
        assert checks(auditor, "bad") == ["Record"]
    assert "at least one character differs" in auditor.page.locator("#answer .lead").inner_text()
    assert not auditor.page.locator("#answer .facts").count(), "nothing of it is shown as true"
    assert not auditor.page.locator("#answer .seal").is_visible()
    assert not look(auditor, "failure")


def test_a_changed_path_index_or_leaf_fails_where_it_was_changed(world: World, auditor: Visitor) -> None:
    given = proof.read(world.receipt)
    parts = {"extra": given.extra, "index": given.index, "path": list(given.path), "checkpoint": given.checkpoint}
    assert give(auditor, record=world.record, receipt=proof.write(proof.Proof(**parts))) == PUBLISHED["en"]
    swapped = [given.path[1], given.path[0], *given.path[2:]]
    for changed in (
        {"path": swapped},
        {"path": given.path[:-1]},
        {"path": [*given.path, bytes(32)]},
        {"index": given.index ^ 1},
        {"index": 10_000},
    ):
        receipt = proof.write(proof.Proof(**(parts | changed)))
        assert give(auditor, record=world.record, receipt=receipt) == FAILED, changed
        assert checks(auditor, "bad") == ["Place in the log"], changed
    kind, values = leaf.decode(given.extra)
    other = leaf.encode("refuse", t="2026-11-20T09:00:00Z", entry=values["entry"], reason="other")
    give(auditor, record=world.record, receipt=proof.write(proof.Proof(**(parts | {"extra": other}))))
    assert checks(auditor, "bad") == ["Record", "Line of the log", "Place in the log"]
    assert kind == "publish"


def test_another_key_another_log_and_a_changed_checkpoint(world: World, auditor: Visitor) -> None:
    given = proof.read(world.receipt)
    checkpoint = note.read(given.checkpoint)[0]
    other, private = stranger()
    namesake = note.Key(world.signer.origin, note.ED25519, other.public)

    def receipt(size: int, signature: note.Signature) -> str:
        of = note.Checkpoint(signature.name, size, checkpoint.root)
        return proof.write(proof.Proof(given.extra, given.index, given.path, note.write(of, [signature])))

    renamed = note.Checkpoint(other.name, checkpoint.size, checkpoint.root)
    for forged, words in (
        (receipt(checkpoint.size, note.sign(renamed, other, private.sign)), "of another log, charter.example/log"),
        (receipt(checkpoint.size, note.sign(checkpoint, namesake, private.sign)), "not signed with this key"),
        (receipt(checkpoint.size + 1, note.read(given.checkpoint)[1][0]), "not signed with this key"),
    ):
        assert give(auditor, record=world.record, receipt=forged) == FAILED
        assert words in auditor.main
        assert "Signature of the log" in checks(auditor, "bad")
    # The true receipt, and the key of somebody else.
    auditor.page.locator("#keys").fill(namesake.text)
    auditor.page.locator("#keys").blur()
    assert give(auditor, record=world.record, receipt=world.receipt) == FAILED
    assert "Signature of the log" in checks(auditor, "bad")
    auditor.page.locator("#keys").fill(namesake.text[:-3])
    assert "The key cannot be read" in give(auditor, record=world.record, receipt=world.receipt)


def test_a_log_that_was_rewritten_is_found_out(world: World, auditor: Visitor) -> None:
    leaves = [b"another history, line %d" % place for place in range(700)]
    hashes = [tree.hash_leaf(one) for one in leaves]
    nodes = {(level, index): one for level, index, one in tree.append(0, hashes, lambda *_: b"")}
    root = tree.root(len(leaves), lambda level, index: nodes[level, index])
    text = world.signer.sign(len(leaves), root)

    def tile(route: Route) -> None:
        _, level, rest = route.request.url.partition("/log/")[2].split("/", 2)
        found = parse_path(level, rest)
        assert found.level is not None
        places = range(found.index * WIDTH, found.index * WIDTH + found.width)
        route.fulfill(body=b"".join(nodes[found.level * 8, place] for place in places))

    auditor.page.route("**/log/checkpoint", lambda route: route.fulfill(body=text))
    auditor.page.route("**/log/tile/**", tile)
    assert give(auditor, record=world.record, receipt=world.receipt) == FAILED
    assert checks(auditor, "bad") == ["The log today"]
    assert "has been rewritten" in auditor.page.locator("#answer .lead").inner_text()


def test_a_log_of_the_same_size_with_another_root_is_found_out(world: World, auditor: Visitor) -> None:
    text = world.signer.sign(note.read(proof.read(world.receipt).checkpoint)[0].size, bytes(32))
    auditor.page.route("**/log/checkpoint", lambda route: route.fulfill(body=text))
    assert give(auditor, record=world.record, receipt=world.receipt) == FAILED
    assert checks(auditor, "bad") == ["The log today"]


def test_a_correction_between_record_and_receipt_raises_no_alarm(world: World, visit: Visit) -> None:
    visitor = visit(lang="en")
    answers = [world.record.replace(b"KZ-75", b"KZ-71"), world.record]
    visitor.page.route("**/log/record/*", lambda route: route.fulfill(body=answers.pop(0)))
    visitor.page.clock.install()
    visitor.open(f"/en/verify/?entry={world.entry}")
    with visitor.page.expect_response("**/log/record/*"):
        while len(answers) == 2 or not visitor.page.locator("#receipt").input_value():
            visitor.page.wait_for_timeout(20)
        for _ in range(20):
            visitor.page.clock.fast_forward(1000)
    assert answered(visitor) == PUBLISHED["en"]
    assert answers == []


def test_a_log_that_ends_before_the_receipt_is_not_called_wrong(world: World, auditor: Visitor) -> None:
    text = world.signer.sign(1, bytes(32))
    auditor.page.route("**/log/checkpoint", lambda route: route.fulfill(body=text))
    assert give(auditor, record=world.record, receipt=world.receipt) == PUBLISHED["en"]
    assert checks(auditor, "open") == ["The log today"]
    assert "ends at 1 lines, before the receipt" in auditor.main


def test_files_that_are_none(world: World, auditor: Visitor) -> None:
    assert "cannot be read" in give(auditor, record=None, receipt="c2sp.org/tlog-proof@v1\ntorn off")
    auditor.open("/en/verify/")
    assert "A record alone proves nothing" in give(auditor, record=world.record, receipt=None)
    auditor.open("/en/verify/")
    auditor.page.locator("section:has(#files) summary").click()
    auditor.page.locator("#check").click()
    assert "Neither a receipt nor a record" in answered(auditor)


@pytest.mark.parametrize("what", ["no Ed25519", "no WebCrypto"])
def test_a_browser_that_cannot_check_says_so(world: World, visit: Visit, what: str) -> None:
    visitor = visit(lang="en", size=DESKTOP)
    visitor.page.add_init_script(
        "SubtleCrypto.prototype.importKey = async () => { throw new DOMException('no', 'NotSupportedError') }"
        if what == "no Ed25519"
        else "Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })"
    )
    visitor.open(f"/en/verify/?entry={world.entry}")
    if what == "no WebCrypto":
        assert "only on pages that came over https" in answered(visitor)
        return
    assert answered(visitor) == "Not everything could be checked."
    assert checks(visitor, "open") == ["Signature of the log"]
    assert "nobody has checked who signed" in visitor.main
    assert not visitor.page.locator("#answer .seal").is_visible()


# ── without the script, and after an end ─────────────────────────────────────────────────────────────────────────────


def test_an_ended_and_an_unknown_entry(world: World, auditor: Visitor) -> None:
    auditor.open("/en/verify/?number=2")
    assert "Signature withdrawn by the signatory" in auditor.main
    assert not auditor.page.locator("#answer").is_visible()
    auditor.page.locator("#number").fill("99")
    auditor.press("#by-number button")
    assert "The registry has no entry 99" in auditor.main
    assert not look(auditor, "unknown entry")


def test_without_script_the_page_has_files_and_commands_that_prove_the_same(
    world: World, visit: Visit, tmp_path: Path
) -> None:
    visitor = visit(lang="ru", script=False)
    visitor.open("/ru/verify/")
    visitor.page.locator("#number").fill("1")
    visitor.press("#by-number button")
    assert "не выполняет здесь скрипты" in visitor.main.replace("\xa0", " ")
    assert not visitor.page.locator("#files").is_visible()
    fetch, _, by_hand = visitor.page.locator("pre code").all_inner_texts()
    base = re.search(r"http\S+?(?=/log/)", fetch)
    assert base
    script = "set -e\n" + fetch.replace(base[0], world.url) + "\n" + by_hand
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    digest, rest = done.stdout.split(" ", 1)
    assert json.loads(rest[rest.index("{") : rest.index("}") + 1])["commit"] == digest
    assert "Signature Verified Successfully" in done.stdout
    (tmp_path / "checkpoint.body").write_text("127.0.0.1/log\n1\n\n", encoding="ascii")
    again = subprocess.run(["sh", "-c", by_hand.partition("{")[2].join(["{", ""])], cwd=tmp_path, capture_output=True)
    assert again.returncode != 0, "a wrong one is refused"


# ── the script and charter/tlog agree ────────────────────────────────────────────────────────────────────────────────

SIZES = [*range(1, 18), 63, 255, 256, 257, 600]

TRY = """async ([what, all]) => {
  const source = document.querySelector("script[src*='verify.js']").src.replace("verify.js", "log-proof.js");
  const module = await import(source);
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const found = [];
  for (const one of all) {
    try {
      if (what === "climb") {
        const steps = await module.climb(bytes(one.hash), one.index, one.size, one.path.map(bytes));
        found.push(module.hex(steps.at(-1).hash));
      } else if (what === "roots") {
        const fetched = [];
        const tile = async (path) => { fetched.push(path); return bytes(one.tiles[path]) };
        found.push([...(await module.roots(one.old, one.size, tile)).map(module.hex), fetched.length]);
      } else {
        found.push(module[what](one));
      }
    } catch (error) {
      found.push(null);
    }
  }
  return found;
}"""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def grown(size: int) -> dict[tuple[int, int], bytes]:
    hashes = [tree.hash_leaf(b"%d" % place) for place in range(size)]
    return {(level, index): one for level, index, one in tree.append(0, hashes, lambda *_: b"")}


def test_paths_and_histories_come_out_as_in_python(auditor: Visitor) -> None:
    nodes = grown(SIZES[-1])

    def node(level: int, index: int) -> bytes:
        return nodes[level, index]

    roots = {size: tree.root(size, node).hex() for size in SIZES}
    asked = [
        {
            "hash": b64(node(0, index)),
            "index": index,
            "size": size,
            "path": [b64(one) for one in tree.inclusion_proof(index, size, node)],
        }
        for size in SIZES
        for index in {0, 1, size // 2, size - 2, size - 1}
        if 0 <= index < size
    ]
    assert auditor.page.evaluate(TRY, ["climb", asked]) == [roots[one["size"]] for one in asked]
    wrong = [{**one, "index": one["size"]} for one in asked] + [{**one, "path": one["path"][1:]} for one in asked[1:]]
    found = auditor.page.evaluate(TRY, ["climb", wrong])
    assert not [one for one, given in zip(found, wrong, strict=True) if one == roots[given["size"]]]
    size = SIZES[-1]
    tiles = {
        f"tile/{level}/{index:03d}" + ("" if width == WIDTH else f".p/{width}"): b64(
            b"".join(node(level * 8, index * WIDTH + place) for place in range(width))
        )
        for level, index, width in ((0, 0, 256), (0, 1, 256), (0, 2, 88), (1, 0, 2))
    }
    histories = [{"old": old, "size": size, "tiles": tiles} for old in SIZES]
    found = auditor.page.evaluate(TRY, ["roots", histories])
    assert [one[:2] for one in found] == [[roots[old], roots[size]] for old in SIZES]
    assert max(one[2] for one in found) <= 4, "each tile once"


def test_what_is_no_line_of_this_log_is_none_in_both(auditor: Visitor) -> None:
    commit, entry, t = "0a" * 32, "0b" * 16, "2026-11-20T09:00:00Z"
    right = [
        leaf.encode("publish", t=t, commit=commit, entry=entry, rev=1),
        leaf.encode("publish", t=t, commit=commit, entry=entry, rev=1, approvals=["s3", "s7"]),
        leaf.encode("correct", t=t, commit=commit, entry=entry, rev=2, reason="other"),
        leaf.encode("confirm", t=t, commit=commit, entry=entry, due="2026-11-27"),
    ]
    first = right[0]
    wrong = [
        first.replace(b'"v":1', b'"v":2'),
        first.replace(b'"v":1', b'"v":true'),
        first.replace(b"{", b"{ ", 1),
        first.replace(b'"rev":1', b'"name":"A","rev":1'),
        first.replace(b'"rev":1', b'"rev":1.0'),
        first.replace(b'"rev":1', b'"rev":-0'),
        first.replace(b'"rev":1', b'"reason":"other","rev":1'),
        first.replace(b"publish", b"correct"),
        first.replace(b"publish", b"refuse"),
        first.replace(b'"rev":1', b'"rev":1,"rev":1'),
        first + b"\n",
        b"[]",
        b"null",
        b"",
        right[3].replace(b'"due":"2026-11-27",', b""),
        right[3].replace(b"2026-11-27", b"soon"),
        first.replace(t.encode(), b"2026-11-20"),
        first.replace(b"0a0a", b"0A0A"),
        first.replace(b"0b0b", b"0b"),
    ]
    found = auditor.page.evaluate(TRY, ["readLeaf", [one.decode() for one in right + wrong]])
    assert [one is not None for one in found] == [True] * len(right) + [False] * len(wrong)
    for one in wrong:
        with pytest.raises(leaf.LeafError):
            leaf.decode(one)
