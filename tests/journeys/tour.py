"""A walk past every page in one language: what the public, a signatory and the Centre's people get to see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Route, StorageState

from charter import create_app
from charter.web.errors import PAGES, error_page
from charter.web.headers import CONTENT_SECURITY_POLICY
from tests.conftest import make_settings
from tests.journeys import lists
from tests.journeys.conftest import Centre
from tests.journeys.postbox import Postbox
from tests.journeys.visitors import SUBMIT, Person, Visitor
from tests.people import link_in

Visit = Callable[..., Visitor]
Stop = tuple[str, Visitor]


@dataclass
class Gallery:
    """People in every state, so that there is something to see."""

    centre: Centre
    people: dict[str, Person] = field(default_factory=dict)
    signers: dict[str, StorageState] = field(default_factory=dict)
    personal: dict[str, str] = field(default_factory=dict)
    confirm_link: str = ""
    address_link: str = ""
    invitation: str = ""
    entered_link: str = ""
    list_to_map: str = ""
    list_tried: str = ""
    list_done: str = ""
    entry: str = ""
    ended: str = ""

    @property
    def postbox(self) -> Postbox:
        """Where mail arrives."""
        return self.centre.postbox


#: Long names on purpose: they are what breaks a page.
CAST = {
    "waiting": Person(
        surname="Жұмағалиева-Төлегенқызы Қарлығаш Бекмұхамбетқызы", kind="party", affiliation="amanat", region="KZ-19"
    ),
    "asked": Person(surname="Сейітжаппарұлы Бауыржан", region="KZ-33"),
    "declined": Person(surname="Кравченко Антонина Владимировна", region="KZ-11"),
    "objecting": Person(surname="Нұрғалиев Олжас", region="KZ-23"),
    "listed": Person(
        surname="Оспанова-Константинопольская Әмина Серікқызы",
        affiliation="«Тәуелсіз байқаушылар» қоғамдық бірлестігінің Қызылорда облыстық филиалы",
        region="KZ-43",
    ),
    "short": Person(surname="Дәулетов Ерлан", kind="party", affiliation="aq-jol", display="short", region="KZ-71"),
    "unlisted": Person(
        surname="Šimůnková Żółć", kind="international", affiliation="OSCE/ODIHR", display="unlisted", region="KZ-75"
    ),
    "withdrawn": Person(surname="Ли Виктор", region="KZ-79"),
}


LONG_SOURCE = "Қызылорда облысының Қармақшы, Жалағаш және Сырдария аудандарындағы байқаушыларды оқыту, 12 қараша"
ON_A_LIST = (
    "Тегі, аты, әкесінің аты;Эл. пошта;Облыс;Түрі;Ұйым\r\n"
    "Әлімжанова-Константинопольская Гүлбаршын Бекмұхамбетқызы;list@example.org;Қызылорда облысы;тәуелсіз;\r\n"
)
FAULTY = "Ли 5;no address;Луна;кто-то;=1\r\nОспанова Әмина;ospanova@example.org;Астана;тәуелсіз;\r\n"


def prepare(centre: Centre, visit: Visit) -> Gallery:
    """Brings everybody of the cast into their state, all at once so that the worker is waited for seldom."""
    gallery = Gallery(centre, dict(CAST))
    visitors: dict[str, Visitor] = {}
    for role, person in gallery.people.items():
        visitors[role] = visit(script=role != "short")
        visitors[role].sign(person)
        gallery.signers[role] = visitors[role].context.storage_state()
    unconfirmed = Person(surname="Серікбаева Гүлнар")
    visitors["unconfirmed"] = visit()
    visitors["unconfirmed"].sign(unconfirmed)
    gallery.signers["unconfirmed"] = visitors["unconfirmed"].context.storage_state()
    gallery.confirm_link = link_in(gallery.postbox.wait(unconfirmed.email, "/confirm/"), "/confirm/")
    for role, person in gallery.people.items():
        visitors[role].open(link_in(gallery.postbox.wait(person.email, "/confirm/"), "/confirm/"))
        visitors[role].press(f"#confirm-form {SUBMIT}")
    reviewer = visit(staff="en", size=(1280, 900))
    reviewer.decide(gallery.people["asked"], "ask", reason="region-unclear", note="Қызылорда қаласы ма, облысы ма?")
    reviewer.decide(gallery.people["declined"], "decline", reason="other", note="Позвоните нам, пожалуйста.\nСпасибо.")
    reviewer.decide(gallery.people["objecting"], "decline", reason="not-an-observer")
    for role in ("listed", "short", "unlisted", "withdrawn"):
        reviewer.decide(gallery.people[role], "approve")
    gallery.list_done = lists.bring(reviewer, ON_A_LIST.encode(), source="Кездесу")
    lists.choose(reviewer)
    lists.start(reviewer)
    gallery.list_tried = lists.bring(reviewer, (ON_A_LIST + FAULTY).encode("utf-16"), source=LONG_SOURCE)
    lists.choose(reviewer)
    gallery.list_to_map = lists.bring(reviewer, ON_A_LIST.encode(), source="Кездесу")
    gallery.entered_link = link_in(gallery.postbox.wait("list@example.org", "/confirm/"), "/confirm/")
    gallery.invitation = centre.ask(reviewer, "Ерке Нұрланқызы", "yerke@example.org", "kk")
    for role, person in gallery.people.items():
        gallery.personal[role] = link_in(gallery.postbox.wait(person.email, "/my/"), "/my/")
    for role in ("listed", "short", "unlisted", "withdrawn"):
        entry = link_in(gallery.postbox.wait(gallery.people[role].email, "/entries/"), "/entries/")
        gallery.entry = entry if role == "listed" else gallery.entry
        gallery.ended = entry
    visitors["short"].open("/ru/my/address/")
    visitors["short"].page.locator("[name=email]").fill("dauletov.erlan.kyzylorda@example.org")
    visitors["short"].press(f"#address-form {SUBMIT}")
    other = gallery.postbox.wait("dauletov.erlan.kyzylorda@example.org", "/my/address/")
    gallery.address_link = link_in(other, "/my/address/")
    visitors["listed"].open("/ru/my/correction/")
    visitors["listed"].page.locator("[name=full_name]").fill("Оспанова Әмина Серікқызы Константинопольская")
    visitors["listed"].press(f"#correction-form {SUBMIT}")
    visitors["withdrawn"].open("/ru/my/withdraw/")
    visitors["withdrawn"].press(f"#withdraw-form {SUBMIT}")
    for role, part in (("asked", "?"), ("declined", "/sign/")):
        gallery.postbox.wait(gallery.people[role].email, part)
    gallery.postbox.wait(gallery.people["objecting"].email, "/sign/")
    visitors["objecting"].open("/ru/my/objection/")
    visitors["objecting"].page.locator("[name=words]").fill("Мен 2019 жылдан бері байқаушымын.\nКуәлігім бар.")
    visitors["objecting"].press(f"#objection-form {SUBMIT}")
    visitors["listed"].until("/ru/registry/", "Ли Виктор", there=False)
    for visitor in [*visitors.values(), reviewer]:
        visitor.close()
    return gallery


def public_pages(gallery: Gallery, visit: Visit, lang: str) -> Iterator[Stop]:
    """What is the same for everybody."""
    visitor = visit(lang=lang)
    for name, path in (
        ("home", ""),
        ("charter", "charter/"),
        ("charter-changes", "charter/specimen-1/changes/"),
        ("about", "about/"),
        ("privacy", "privacy/"),
        ("accessibility", "accessibility/"),
        ("help", "help/"),
        ("registry", "registry/"),
        ("registry-filtered", "registry/?kind=party&region=almaty"),
        ("region", "registry/kyzylorda/"),
        ("region-empty", "registry/abai/"),
        ("open-data", "open-data/"),
        ("developers", "developers/"),
        ("statistics", "statistics/"),
        ("transparency", "transparency/"),
        ("numbers", "registry/numbers/"),
        ("numbers-block", "registry/numbers/1-100/"),
    ):
        visitor.open(f"/{lang}/{path}")
        yield name, visitor
    visitor.open(f"/embed/{lang}/")
    yield "counter", visitor
    for name, entry in (("entry", gallery.entry), ("entry-ended", gallery.ended)):
        visitor.open(entry.replace("/ru/", f"/{lang}/"))
        yield name, visitor
    for name, entry, shown in (
        ("verify", gallery.entry, "#answer:not([hidden])"),
        ("verify-ended", gallery.ended, "section.verdict:not(#answer)"),
    ):
        visitor.open(f"/{lang}/verify/?entry={entry.rpartition('/')[2]}")
        visitor.page.locator(shown).wait_for()
        yield name, visitor
    visitor.close()


def error_pages(visit: Visit, lang: str, instance: Path) -> Iterator[Stop]:
    """Every page for something that went wrong; those that need a broken service are made and put in its place."""
    app = create_app(make_settings(instance))
    visitor = visit(lang=lang)
    visitor.open(f"/{lang}/about/")
    found = re.search(r"/static/\w+/", visitor.page.content())
    assert found
    for status in PAGES:
        with app.test_request_context(f"/{lang}/"):
            # The running service may have been started before somebody wrote in static/.
            body = re.sub(rb"/static/\w+/", found[0].encode(), error_page(status).get_data())
        visitor.page.route("**/wrong/*", _answer_with(body))
        visitor.open(f"/{lang}/wrong/{status}")
        assert str(status) in visitor.main
        yield f"error-{status}", visitor
        visitor.page.unroute("**/wrong/*")
    visitor.close()


def _answer_with(body: bytes) -> Callable[[Route], None]:
    headers = {"Content-Type": "text/html", "Content-Security-Policy": CONTENT_SECURITY_POLICY}

    def answer(route: Route) -> None:
        route.fulfill(status=200, body=body, headers=headers)

    return answer


def signing_pages(gallery: Gallery, visit: Visit, lang: str) -> Iterator[Stop]:
    """From the form to the confirmed signature, and *my signature* in every state."""
    visitor = visit(lang=lang)
    visitor.open(f"/{lang}/sign/")
    yield "sign", visitor
    visitor.press(f"#sign-form {SUBMIT}")
    yield "sign-errors", visitor
    visitor.fill(Person(lang=lang, kind="party", affiliation="other", display="short"))
    visitor.page.locator("[name=party_other]").fill("Жаңа партия")
    yield "sign-filled", visitor
    visitor.open(f"/{lang}/sign/check-mail/")
    yield "check-mail", visitor
    visitor.open(f"/{lang}/my-link/")
    visitor.press(f"#ask-form {SUBMIT}")
    yield "ask-for-link-errors", visitor
    visitor.open(f"/{lang}/my-link/check-mail/")
    yield "link-sent", visitor
    visitor.open(gallery.address_link.replace("/ru/", f"/{lang}/"))
    yield "confirm-address", visitor
    visitor.open(f"/{lang}/my/address/{'A' * 43}")
    yield "address-ended", visitor
    visitor.open(f"/{lang}/confirm/{'A' * 43}")
    yield "link-ended", visitor
    visitor.open(f"/{lang}/my/")
    yield "link-needed", visitor
    visitor.open(gallery.confirm_link.replace("/ru/", f"/{lang}/"))
    yield "confirm-elsewhere", visitor
    visitor.page.locator("[name=code]").fill("12")
    visitor.press(f"#confirm-form {SUBMIT}")
    yield "confirm-errors", visitor
    visitor.open(gallery.entered_link.replace("/ru/", f"/{lang}/"))
    yield "entered", visitor
    visitor.press(f"#entered-form {SUBMIT}")
    yield "entered-errors", visitor
    visitor.open(gallery.confirm_link.replace("/ru/confirm/", f"/{lang}/not-me/"))
    yield "not-me-elsewhere", visitor
    visitor.page.locator("[name=code]").fill("12")
    visitor.press(f"#not-me-form {SUBMIT}")
    yield "not-me-errors", visitor
    used = link_in(gallery.postbox.wait(gallery.people["listed"].email, "/confirm/"), "/confirm/")
    visitor.open(used.replace("/ru/", f"/{lang}/"))
    yield "already-confirmed", visitor
    visitor.close()
    visitor = visit(lang=lang, state=gallery.signers["unconfirmed"])
    visitor.open(gallery.confirm_link.replace("/ru/", f"/{lang}/"))
    yield "confirm", visitor
    visitor.close()
    for role, link in gallery.personal.items():
        visitor = visit(lang=lang)
        visitor.open(link.replace("/ru/", f"/{lang}/"))
        yield f"my-{role}", visitor
        if role == "asked":
            visitor.press(f"#answer-form {SUBMIT}")
            yield "my-asked-errors", visitor
        if role == "listed":
            visitor.open(f"/{lang}/my/correction/")
            yield "correction", visitor
            visitor.page.locator("[name=full_name]").fill("=1")
            visitor.press(f"#correction-form {SUBMIT}")
            yield "correction-errors", visitor
        if role == "declined":
            visitor.open(f"/{lang}/my/objection/")
            yield "objection", visitor
            visitor.press(f"#objection-form {SUBMIT}")
            yield "objection-errors", visitor
            visitor.open(f"/{lang}/my/erase/")
            visitor.press(f"#erase-form {SUBMIT}")
            yield "erase-errors", visitor
            visitor.open(f"/{lang}/my/data/")
            visitor.press(f"#data-form {SUBMIT}")
            yield "data-errors", visitor
        if role == "unlisted":
            visitor.open(f"/{lang}/my/display/")
            visitor.page.locator("[name=display][value=full]").check()
            visitor.press(f"#display-form {SUBMIT}")
            yield "display-errors", visitor
        if role == "waiting":
            visitor.open(f"/{lang}/my/edit/")
            yield "edit", visitor
            visitor.page.locator("[name=full_name]").fill("=1")
            visitor.press(f"#edit-form {SUBMIT}")
            yield "edit-errors", visitor
            visitor.open(f"/{lang}/my/withdraw/")
            yield "withdraw-elsewhere", visitor
            visitor.press(f"#withdraw-form {SUBMIT}")
            yield "withdraw-errors", visitor
            visitor.open(f"/{lang}/my/link/")
            yield "renew-elsewhere", visitor
            visitor.open(f"/{lang}/my/address/")
            visitor.press(f"#address-form {SUBMIT}")
            yield "address-errors", visitor
        visitor.close()
    visitor = visit(lang=lang, state=gallery.signers["listed"])
    visitor.open(gallery.personal["listed"].replace("/ru/", f"/{lang}/"))
    visitor.open(f"/{lang}/my/withdraw/")
    yield "withdraw", visitor
    visitor.open(f"/{lang}/my/erase/")
    yield "erase", visitor
    visitor.open(f"/{lang}/my/erased/")
    yield "erased", visitor
    visitor.open(f"/{lang}/my/data/")
    yield "data-needed", visitor
    visitor.press(f"#data-form {SUBMIT}")
    yield "data", visitor
    visitor.close()


def staff_pages(gallery: Gallery, visit: Visit, lang: str) -> Iterator[Stop]:
    """The way in, and the desk."""
    member = gallery.centre.members[lang]
    visitor = visit(lang=lang)
    visitor.open("/staff/sign-in")
    yield "staff-sign-in", visitor
    visitor.press(f"#sign-in-form {SUBMIT}")
    yield "staff-sign-in-errors", visitor
    member.give_password(visitor)
    yield "staff-second-factor", visitor
    visitor.open("/staff/recovery-code")
    yield "staff-recovery-code", visitor
    visitor.open(gallery.invitation)
    yield "staff-invitation", visitor
    visitor.close()

    visitor = visit(staff=lang)
    for name, path in (
        ("queue", "/staff/"),
        ("queue-clarification", "/staff/?state=clarification"),
        ("queue-held", "/staff/?state=held"),
        ("queue-filtered", "/staff/?kind=party&region=KZ-19&claimed=free"),
        ("staff-find", "/staff/find/"),
        ("held", "/staff/held/?by=domain"),
        ("staff-corrections", "/staff/corrections/"),
        ("staff-correction", "/staff/corrections/1/"),
        ("staff-objections", "/staff/objections/"),
        ("staff-objection", "/staff/objections/1/"),
        ("staff-letters", "/staff/letters/"),
        ("staff-letter", "/staff/review/1/letter/"),
        ("staff-letter-correction", "/staff/review/1/letter/correction/"),
        ("staff-mail", "/staff/mail/"),
        ("staff-centre", "/staff/centre/"),
        ("staff-editions", "/staff/editions/"),
        ("staff-mailboxes", "/staff/mailboxes/"),
        ("affiliations", "/staff/affiliations/"),
        ("affiliation-merge", "/staff/affiliations/1/merge/?into=2"),
        ("imports", "/staff/imports/"),
        ("import-columns", gallery.list_to_map),
        ("import-tried", gallery.list_tried),
        ("import-done", gallery.list_done),
        ("staff-team", "/staff/team/"),
        ("staff-colleague", "/staff/team/4/"),
        ("second-factor-again", "/staff/second-factor/again"),
        ("account", "/staff/account"),
        ("change-password", "/staff/account/password"),
        ("password-check", "/staff/password-check"),
        ("second-factor-set-up", "/staff/second-factor/set-up"),
    ):
        visitor.open(path)
        yield name, visitor
    visitor.open("/staff/centre/")
    visitor.page.locator("[name=bin]").fill("971240001316")
    visitor.press(f"#identity-form {SUBMIT}")
    yield "staff-centre-errors", visitor
    visitor.open("/staff/editions/")
    visitor.page.locator("#begin-form [name=slug]").fill(f"charter-{lang}")
    visitor.press(f"#begin-form {SUBMIT}")
    visitor.page.locator(f"[name=text_{lang}]").fill("# Хартия\n\nБез заголовка")
    visitor.press(f"#draft-form {SUBMIT}")
    yield "edition-draft", visitor
    visitor.press("a[href$='/preview/']")
    yield "edition-preview", visitor
    visitor.open("/staff/second-factor/set-up")
    visitor.press(f"#set-up-form {SUBMIT}")
    yield "second-factor-picture", visitor
    visitor.open("/staff/recovery-codes")
    yield "recovery-codes", visitor
    visitor.press("#make-codes-form button")
    yield "recovery-codes-shown", visitor
    member.codes = visitor.page.locator("code[translate=no]").all_inner_texts()
    visitor.press(f"#kept-form {SUBMIT}")
    visitor.open_dossier(gallery.people["waiting"])
    yield "dossier", visitor
    visitor.page.locator("[name=action][value=decline]").check()
    visitor.press(f".form:has([name=action]) {SUBMIT}")
    yield "dossier-errors", visitor
    visitor.page.locator("[name=decline_reason]").select_option("other")
    visitor.page.locator("[name=note]").fill("Осы жерге ұзақ түсіндірме жазылады.")
    visitor.press("[name=preview]")
    yield "dossier-preview", visitor
    visitor.open("/staff/?state=clarification")
    visitor.press(visitor.page.locator(".desk-row a", has_text=gallery.people["asked"].surname))
    yield "dossier-asked", visitor
    visitor.open("/staff/invalidations/new?domain=example.org")
    visitor.press(f"#invalidation-form {SUBMIT}")
    yield "invalidation-errors", visitor
    visitor.close()
